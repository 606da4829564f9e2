//! Closed sets of words: each value has one text, the same wherever it is told or typed.

/// Declares an enum of words, each with its text. Where serde is derived as well, the texts must be what it writes.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Its text.
            pub const fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The value of that text, ASCII case ignored.
            pub fn parse(text: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|v| v.text().eq_ignore_ascii_case(text))
            }
        }
    };
}

pub(crate) use words;

/// Words are told as they are typed.
#[cfg(test)]
pub(super) fn assert_told_as_typed<T: serde::Serialize + Copy>(all: &[T], text: impl Fn(T) -> &'static str) {
    for value in all {
        assert_eq!(serde_json::to_string(value).unwrap(), format!("\"{}\"", text(*value)));
    }
}
