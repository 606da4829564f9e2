//! How text from the wire, numbers and times are shown to people, wherever that is done.

pub mod icmp;
pub mod mask;
pub mod safe;
pub mod units;
pub mod zone;
