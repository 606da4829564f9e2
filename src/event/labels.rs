//! The closed vocabularies of a verdict: sub-classes and flags, as small sets without allocation.

/// Declares an enum of words, its names, and the set type over it.
macro_rules! words {
    ($(#[$doc:meta])* $word:ident, $(#[$set_doc:meta])* $set:ident, $($variant:ident = $name:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum $word { $($variant,)+ }

        impl $word {
            /// Every word, in the order in which they are told.
            pub const ALL: &'static [$word] = &[$($word::$variant,)+];

            /// The word as every output spells it.
            pub const fn name(self) -> &'static str {
                match self { $($word::$variant => $name,)+ }
            }

            /// The word of that name.
            pub fn parse(name: &str) -> Option<$word> {
                $word::ALL.iter().copied().find(|w| w.name() == name)
            }
        }

        $(#[$set_doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $set(u64);

        impl $set {
            /// No word.
            pub const NONE: $set = $set(0);

            /// The set of one word.
            pub const fn of(word: $word) -> $set {
                $set(1 << (word as u32))
            }

            /// This set and `word`.
            pub const fn with(self, word: $word) -> $set {
                $set(self.0 | (1 << (word as u32)))
            }

            /// This set, and `word` where `condition` holds.
            pub const fn with_if(self, condition: bool, word: $word) -> $set {
                if condition { self.with(word) } else { self }
            }

            /// Both sets together.
            pub const fn union(self, other: $set) -> $set {
                $set(self.0 | other.0)
            }

            /// Whether `word` is in it.
            pub const fn has(self, word: $word) -> bool {
                self.0 & (1 << (word as u32)) != 0
            }

            /// Whether it holds no word.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The names of its words, in the order of the vocabulary.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                let mut left = self.0;
                std::iter::from_fn(move || {
                    let word = $word::ALL.get(left.trailing_zeros() as usize)?;
                    left &= left.wrapping_sub(1);
                    Some(word.name())
                })
            }
        }

        impl std::fmt::Debug for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_set().entries(self.names()).finish()
            }
        }
    };
}

words! {
    /// A closer word for what a flow is, or why it is unknown.
    Sub,
    /// A set of [`Sub`].
    Subs,
    // relay
    Idle = "idle",
    VideoUp = "video-up",
    VideoDown = "video-down",
    UploadBurst = "upload-burst",
    Metadata = "metadata",
    Turn = "turn",
    // p2p
    Wan = "wan",
    Lan = "lan",
    Webrtc = "webrtc",
    SctpUdp = "sctp-udp",
    Rtp = "rtp",
    Attempt = "attempt",
    // direct
    Inbound = "inbound",
    Hairpin = "hairpin",
    Contera8887 = "contera-8887",
    // lsf
    Ip = "ip",
    DomainRedirect = "domain-redirect",
    // s3, stun
    Vendor = "vendor",
    UnknownBucket = "unknown-bucket",
    // update
    Wsus = "wsus",
    Ctl = "ctl",
    // ntp
    VendorPool = "vendor-pool",
    Other = "other",
    // dns
    Udp53 = "udp53",
    Tcp53 = "tcp53",
    Mdns = "mdns",
    Llmnr = "llmnr",
    NetbiosNs = "netbios-ns",
    Dot = "dot",
    Doq = "doq",
    Doh = "doh",
    // camera
    Rtsp = "rtsp",
    // unknown
    Midstream = "midstream",
    NoName = "no-name",
    Ech = "ech",
    Truncated = "truncated",
    OneSided = "one-sided",
    EncryptedDns = "encrypted-dns",
    IpLiteral = "ip-literal",
    Unlisted = "unlisted",
}

words! {
    /// An oddity of a flow.
    Flag,
    /// A set of [`Flag`].
    Flags,
    UnusualPort = "unusual-port",
    SniIpMismatch = "sni-ip-mismatch",
    Ech = "ech",
    OneLabel = "one-label",
    ThreeLabels = "three-labels",
    TypoHost = "typo-host",
    NameConflict = "name-conflict",
    EncryptedDns = "encrypted-dns",
    RoleInferred = "role-inferred",
    Quic = "quic",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_own_name_and_bit() {
        for (i, word) in Sub::ALL.iter().enumerate() {
            assert_eq!(Sub::parse(word.name()), Some(*word));
            assert_eq!(*word as usize, i);
        }
        assert!(Sub::ALL.len() <= 64 && Flag::ALL.len() <= 64);
    }

    #[test]
    fn a_set_tells_its_words_in_one_order() {
        let set = Subs::of(Sub::Attempt).with(Sub::Wan);
        assert_eq!(set.names().collect::<Vec<_>>(), ["wan", "attempt"]);
        assert!(set.has(Sub::Wan) && !set.has(Sub::Lan) && !set.is_empty());
        assert_eq!(format!("{set:?}"), r#"{"wan", "attempt"}"#);
    }
}
