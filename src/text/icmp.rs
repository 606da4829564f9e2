//! What an ICMP message says, in words. Its type and code, or its type and that of the answer to it, stand in a flow in
//! the place of ports.
//!
//! RFC 792, RFC 950, RFC 1191, RFC 1256, RFC 1812 §5.2.7.1; RFC 4443, RFC 4861, RFC 2710, RFC 3810. Others are told by
//! their numbers.

use std::borrow::Cow;

/// What a flow of ICMP, of version 6 (`v6`) or 4, is about; its originator's number first.
pub fn words(v6: bool, numbers: [u16; 2]) -> Cow<'static, str> {
    let known = if v6 { of_version_6(numbers) } else { of_version_4(numbers) };
    let [kind, code] = numbers;
    known.map_or_else(|| format!("type {kind} code {code}").into(), Cow::Borrowed)
}

/// Whether a message of that type, of version 6 (`v6`) or 4, waits for an answer: an error, an announcement and a reply
/// do not.
pub const fn asks(v6: bool, kind: u16) -> bool {
    if v6 { matches!(kind, 128 | 130 | 133 | 135) } else { matches!(kind, 8 | 10 | 13 | 15 | 17) }
}

const fn of_version_4(numbers: [u16; 2]) -> Option<&'static str> {
    Some(match numbers {
        [8, 0] => "echo",
        [0, 8] => "echo reply",
        [3, 0] => "net unreachable",
        [3, 1] => "host unreachable",
        [3, 2] => "protocol unreachable",
        [3, 3] => "port unreachable",
        [3, 4] => "packet too big",
        [3, 9] => "net prohibited",
        [3, 10] => "host prohibited",
        [3, 13] => "prohibited",
        [3, _] => "unreachable",
        [4, _] => "source quench",
        [5, _] => "redirect",
        [9, 10] => "router advertisement",
        [10, 9] => "router solicitation",
        [11, 0] => "time exceeded",
        [11, _] => "reassembly time exceeded",
        [12, _] => "parameter problem",
        [13, 14] => "timestamp",
        [14, 13] => "timestamp reply",
        [17, 18] => "address mask",
        [18, 17] => "address mask reply",
        _ => return None,
    })
}

const fn of_version_6(numbers: [u16; 2]) -> Option<&'static str> {
    Some(match numbers {
        [1, 0] => "no route",
        [1, 1] => "prohibited",
        [1, 3] => "address unreachable",
        [1, 4] => "port unreachable",
        [1, _] => "unreachable",
        [2, _] => "packet too big",
        [3, 0] => "time exceeded",
        [3, _] => "reassembly time exceeded",
        [4, _] => "parameter problem",
        [128, 129] => "echo",
        [129, 128] => "echo reply",
        [130, 131] => "multicast query",
        [131, 130] | [143, _] => "multicast report",
        [132, _] => "multicast done",
        [133, 134] => "router solicitation",
        [134, 133] => "router advertisement",
        [135, 136] => "neighbor solicitation",
        [136, 135] => "neighbor advertisement",
        [137, _] => "redirect",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{asks, words};

    #[test]
    fn questions_wait_for_an_answer_and_errors_do_not() {
        assert!(asks(false, 8) && asks(true, 128) && asks(true, 135));
        assert!(![3, 4, 5, 11, 12, 0].iter().any(|kind| asks(false, *kind)));
        assert!(![1, 2, 3, 4, 129, 136].iter().any(|kind| asks(true, *kind)));
    }

    #[test]
    fn messages_have_names_and_others_numbers() {
        assert_eq!(words(false, [8, 0]), "echo");
        assert_eq!(words(false, [3, 13]), "prohibited");
        assert_eq!(words(false, [3, 77]), "unreachable");
        assert_eq!(words(true, [135, 136]), "neighbor solicitation");
        assert_eq!(words(true, [8, 0]), "type 8 code 0");
        assert_eq!(words(false, [40, 2]), "type 40 code 2");
    }
}
