//! Splits an expression into tokens.

use super::ast::{Net, Op};
use super::text::{Pattern, Regex};
use super::{Error, Span};

/// A token and where it stands.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    pub span: Span,
}

/// What a token is.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A word, quoted text or expression on its own.
    Word(Pattern),
    /// `KEY:VALUE,…`, or `KEY OP VALUE` without the blanks.
    Pair {
        key: &'a str,
        key_span: Span,
        op: PairOp,
        values: Vec<Value>,
    },
}

/// What stands between key and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairOp {
    /// `:`
    Is,
    /// A comparison.
    Compare(Op),
}

/// One of the values of a pair.
#[derive(Debug)]
pub(super) struct Value {
    pub pattern: Pattern,
    pub span: Span,
}

/// The tokens of `text`.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The text from here up to the first of these characters, or the end.
    fn run(&self, ends: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(ends).unwrap_or(rest.len())]
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        self.at += if found { prefix.len() } else { 0 };
        found
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, Error> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let start = self.at;
        let kind = match self.rest().chars().next() {
            None => return Ok(None),
            Some('(') => self.symbol(1, Kind::Open),
            Some(')') => self.symbol(1, Kind::Close),
            Some('!') => self.symbol(1, Kind::Not),
            Some('&') if self.rest().starts_with("&&") => self.symbol(2, Kind::And),
            Some('|') if self.rest().starts_with("||") => self.symbol(2, Kind::Or),
            _ => self.word()?,
        };
        Ok(Some(Token { kind, span: Span { start, end: self.at } }))
    }

    fn symbol(&mut self, length: usize, kind: Kind<'a>) -> Kind<'a> {
        self.at += length;
        kind
    }

    fn word(&mut self) -> Result<Kind<'a>, Error> {
        if let Some(pattern) = self.delimited()? {
            self.end_of_word()?;
            return Ok(Kind::Word(pattern));
        }
        let run = self.run(is_delimiter);
        // An IPv6 address holds colons and is no pair.
        let split = if Net::parse(run).is_some() { None } else { find_op(run) };
        let Some((length, op, op_length)) = split else {
            self.no_stray_operator(run)?;
            self.at += run.len();
            self.end_of_word()?;
            return Ok(match run.to_ascii_lowercase().as_str() {
                "and" => Kind::And,
                "or" => Kind::Or,
                "not" => Kind::Not,
                _ => Kind::Word(Pattern::Glob(run.to_owned())),
            });
        };
        let key_span = Span { start: self.at, end: self.at + length };
        self.at += length + op_length;
        let values = self.values()?;
        Ok(Kind::Pair { key: &run[..length], key_span, op, values })
    }

    /// Refuses what other languages join words by, which would be looked for in texts and found in none.
    fn no_stray_operator(&self, run: &str) -> Result<(), Error> {
        let Some((at, stray)) = run.char_indices().find(|(_, c)| matches!(c, '|' | '&' | ',')) else { return Ok(()) };
        let span = Span { start: self.at + at, end: self.at + at + 1 };
        let hint = match stray {
            '|' => "write `or`, or ||, or a list: class:relay,s3",
            '&' => "write `and`, or &&, or a blank",
            _ => "a list stands behind a key: class:relay,s3 host:10.0.0.1,10.0.0.2",
        };
        Err(Error::new(span, format!("{stray} joins no words here (as part of one it stands in quotes)"), hint))
    }

    fn values(&mut self) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        loop {
            let start = self.at;
            let pattern = match self.delimited()? {
                Some(pattern) => pattern,
                None => {
                    let run = self.run(|c| is_delimiter(c) || c == ',');
                    self.at += run.len();
                    Pattern::Glob(run.to_owned())
                }
            };
            values.push(Value { pattern, span: Span { start, end: self.at } });
            if !self.eat(",") {
                self.end_of_word()?;
                return Ok(values);
            }
        }
    }

    /// Quoted text or a regular expression, if one stands here.
    fn delimited(&mut self) -> Result<Option<Pattern>, Error> {
        let start = self.at;
        for quote in ['"', '\''] {
            if self.eat(quote.encode_utf8(&mut [0; 4])) {
                let text = self.until(quote, start, |c| c == quote || c == '\\')?;
                return Ok(Some(Pattern::Literal(text)));
            }
        }
        if !self.eat("re:/") {
            return Ok(None);
        }
        let source = self.until('/', start, |c| c == '/')?;
        let span = Span { start, end: self.at };
        let regex = Regex::new(&source).map_err(|why| {
            Error::new(span, format!("this regular expression does not compile: {why}"), "a plain word needs no re:/…/")
        })?;
        Ok(Some(Pattern::Regex(regex)))
    }

    /// Text up to `end`; a backslash is taken away before the characters that `escaped` names, and kept before others.
    fn until(&mut self, end: char, start: usize, escaped: impl Fn(char) -> bool) -> Result<String, Error> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            if c == end {
                self.at += at + c.len_utf8();
                return Ok(text);
            }
            match (c, chars.clone().next()) {
                ('\\', Some((_, next))) => {
                    chars.next();
                    if !escaped(next) {
                        text.push(c);
                    }
                    text.push(next);
                }
                _ => text.push(c),
            }
        }
        let span = Span { start, end: self.text.len() };
        Err(Error::new(span, format!("the closing {end} is missing"), format!("add {end} where the text ends")))
    }

    /// After a word only a blank, a parenthesis or the end may stand.
    fn end_of_word(&self) -> Result<(), Error> {
        match self.rest().chars().next() {
            Some(c) if !is_delimiter(c) || matches!(c, '"' | '\'') => {
                let span = Span { start: self.at, end: self.at + c.len_utf8() };
                Err(Error::new(span, "two words touch here", "put a blank between them, or quote the whole"))
            }
            _ => Ok(()),
        }
    }
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'')
}

/// The first operator in a run: where it begins, what it is, and its length.
fn find_op(run: &str) -> Option<(usize, PairOp, usize)> {
    run.char_indices().find_map(|(at, c)| {
        let rest = &run[at..];
        if c == ':' {
            return Some((at, PairOp::Is, 1));
        }
        if rest.starts_with("==") {
            return Some((at, PairOp::Compare(Op::Eq), 2));
        }
        let op = Op::ALL.iter().find(|op| rest.starts_with(op.text()))?;
        Some((at, PairOp::Compare(*op), op.text().len()))
    })
}
