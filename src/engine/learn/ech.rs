//! What becomes of an encrypted ClientHello, as far as that shows from outside.
//!
//! A real one and a decoy look alike (RFC 9849 §6.2), and a server's consent is hidden in its random (§7.2). Three
//! things show: a version below TLS 1.3, and a HelloRetryRequest without the extension, are refusals (§6.1.4); and the
//! hello that answers a HelloRetryRequest with it goes on with the first one's keys where the server has taken that
//! up (§6.1.5), but repeats a decoy or a refused one.

use crate::inspect::tls::{ClientHello, Ech as Shown, ServerHello};

/// An encrypted ClientHello of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ech {
    /// There is none.
    #[default]
    None,
    /// The forerunner, encrypted SNI.
    Esni,
    /// Offered: real or a decoy, taken up or not.
    Offered,
    /// Offered, and a HelloRetryRequest speaks of it: the next hello tells.
    Retried,
    /// The server has taken it up.
    Accepted,
    /// It was refused, or a decoy: what counts is the hello that all can read.
    Outer,
}

impl Ech {
    /// Its name in every output; `None` where there is nothing to tell.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Ech::None => None,
            Ech::Esni | Ech::Offered | Ech::Retried => Some("offered"),
            Ech::Accepted => Some("accepted"),
            Ech::Outer => Some("outer"),
        }
    }

    /// Whether the name that counts may be another than the one in the clear.
    pub const fn may_hide_a_name(self) -> bool {
        !matches!(self, Ech::None | Ech::Outer)
    }

    /// What it is after another hello of the client's.
    #[inline]
    pub fn after_client_hello(self, hello: &ClientHello<'_>, first: bool) -> Ech {
        match (self, hello.ech()) {
            (Ech::None, Shown::Esni) if first => Ech::Esni,
            (Ech::None, Shown::Offered | Shown::Continued) if first => Ech::Offered,
            (Ech::Retried, Shown::Continued) => Ech::Accepted,
            (Ech::Retried, _) => Ech::Outer,
            (same, _) => same,
        }
    }

    /// What it is after the server's answer, which may be a HelloRetryRequest.
    #[inline]
    pub fn after_server_hello(self, hello: &ServerHello<'_>) -> Ech {
        if self == Ech::Offered { Ech::answered(hello) } else { self }
    }

    fn answered(hello: &ServerHello<'_>) -> Ech {
        match (hello.is_tls13(), hello.is_hello_retry()) {
            (true, false) => Ech::Offered,
            (true, true) if hello.has_ech() => Ech::Retried,
            _ => Ech::Outer,
        }
    }
}
