//! JA3 and JA4.
