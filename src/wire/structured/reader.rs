//! Reads structured fields: RFC 9651 §4.2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{
    BareItem, Dictionary, InnerList, LONGEST, MOST, Member, NotStructured, StructuredItem,
    StructuredParameters,
};
use crate::headers::is_token_byte;

/// What is left to be read.
struct Rest<'v>(&'v [u8]);

type Read<T> = Result<T, NotStructured>;

/// RFC 9651 §4.2.2.
pub(super) fn dictionary(value: &[u8]) -> Read<Dictionary> {
    if value.len() > LONGEST {
        return Err(NotStructured);
    }
    let mut rest = Rest(value);
    rest.skip(b" ");
    let mut members: Vec<(String, Member)> = Vec::new();
    while !rest.0.is_empty() {
        let name = rest.key()?;
        let is_known = members.iter().any(|(each, _)| *each == name);
        if is_known || members.len() >= MOST {
            return Err(NotStructured);
        }
        let member = match rest.take(b'=') {
            true => rest.member()?,
            false => Member::Item(StructuredItem {
                bare: BareItem::Boolean(true),
                parameters: rest.parameters()?,
            }),
        };
        members.push((name, member));
        rest.skip(b" \t");
        if rest.0.is_empty() {
            break;
        }
        rest.expect(b',')?;
        rest.skip(b" \t");
        if rest.0.is_empty() {
            return Err(NotStructured);
        }
    }
    Ok(Dictionary { members })
}

impl Rest<'_> {
    fn skip(&mut self, blanks: &[u8]) {
        while let [first, after @ ..] = self.0
            && blanks.contains(first)
        {
            self.0 = after;
        }
    }

    fn next(&mut self) -> Read<u8> {
        let (first, after) = self.0.split_first().ok_or(NotStructured)?;
        self.0 = after;
        Ok(*first)
    }

    /// Takes that byte, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.0.first() == Some(&byte);
        if is_next {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        self.take(byte).then_some(()).ok_or(NotStructured)
    }

    /// All bytes up to the first that is none of these, as text: they are ASCII.
    fn run(&mut self, is_of: impl Fn(u8) -> bool) -> String {
        let end = self.0.iter().position(|b| !is_of(*b));
        let (run, after) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = after;
        run.iter().copied().map(char::from).collect()
    }

    /// RFC 9651 §4.2.3.3.
    fn key(&mut self) -> Read<String> {
        let is_first = |b: u8| b.is_ascii_lowercase() || b == b'*';
        if !self.0.first().is_some_and(|first| is_first(*first)) {
            return Err(NotStructured);
        }
        Ok(self.run(|b| is_first(b) || b.is_ascii_digit() || b"_-.".contains(&b)))
    }

    fn member(&mut self) -> Read<Member> {
        match self.0.first() {
            Some(b'(') => self.list().map(Member::List),
            _ => self.item().map(Member::Item),
        }
    }

    /// RFC 9651 §4.2.1.2.
    fn list(&mut self) -> Read<InnerList> {
        self.expect(b'(')?;
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.take(b')') {
                break;
            }
            if items.len() >= MOST {
                return Err(NotStructured);
            }
            items.push(self.item()?);
            if !matches!(self.0.first(), Some(b' ' | b')')) {
                return Err(NotStructured);
            }
        }
        Ok(InnerList {
            items,
            parameters: self.parameters()?,
        })
    }

    fn item(&mut self) -> Read<StructuredItem> {
        Ok(StructuredItem {
            bare: self.bare()?,
            parameters: self.parameters()?,
        })
    }

    /// RFC 9651 §4.2.3.2.
    fn parameters(&mut self) -> Read<StructuredParameters> {
        let mut found: Vec<(String, BareItem)> = Vec::new();
        while self.take(b';') {
            self.skip(b" ");
            let name = self.key()?;
            let is_known = found.iter().any(|(each, _)| *each == name);
            if is_known || found.len() >= MOST {
                return Err(NotStructured);
            }
            let value = match self.take(b'=') {
                true => self.bare()?,
                false => BareItem::Boolean(true),
            };
            found.push((name, value));
        }
        Ok(StructuredParameters(found))
    }

    /// RFC 9651 §4.2.3.1.
    fn bare(&mut self) -> Read<BareItem> {
        match self.0.first() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.text(),
            Some(b'*' | b'a'..=b'z' | b'A'..=b'Z') => {
                let token = self.run(|b| is_token_byte(b) || b":/".contains(&b));
                Ok(BareItem::Token(token))
            }
            Some(b':') => self.bytes(),
            Some(b'?') => {
                self.next()?;
                match self.next()? {
                    b'1' => Ok(BareItem::Boolean(true)),
                    b'0' => Ok(BareItem::Boolean(false)),
                    _ => Err(NotStructured),
                }
            }
            Some(b'@') => {
                self.next()?;
                match self.number()? {
                    BareItem::Integer(seconds) => Ok(BareItem::Date(seconds)),
                    _ => Err(NotStructured),
                }
            }
            _ => Err(NotStructured),
        }
    }

    /// RFC 9651 §4.2.4.
    fn number(&mut self) -> Read<BareItem> {
        let sign = if self.take(b'-') { -1 } else { 1 };
        let whole = self.run(|b| b.is_ascii_digit());
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| NotStructured);
        if !self.take(b'.') {
            if whole.len() > 15 {
                return Err(NotStructured);
            }
            return Ok(BareItem::Integer(number(&whole)?.saturating_mul(sign)));
        }
        let fraction = self.run(|b| b.is_ascii_digit());
        if whole.len() > 12 || !(1..=3).contains(&fraction.len()) {
            return Err(NotStructured);
        }
        let size = number(&format!("{whole}{fraction:0<3}"))?;
        // A point needs a digit before it.
        if whole.is_empty() {
            return Err(NotStructured);
        }
        Ok(BareItem::Decimal(size.saturating_mul(sign)))
    }

    /// RFC 9651 §4.2.5.
    fn text(&mut self) -> Read<BareItem> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let byte = match self.next()? {
                b'"' => return Ok(BareItem::Text(text)),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => escaped,
                    _ => return Err(NotStructured),
                },
                byte @ b' '..=b'~' => byte,
                _ => return Err(NotStructured),
            };
            text.push(char::from(byte));
        }
    }

    /// RFC 9651 §4.2.7. Its base64 is padded, and has no bits left over.
    fn bytes(&mut self) -> Read<BareItem> {
        self.expect(b':')?;
        let end = self.0.iter().position(|b| *b == b':');
        let (written, after) = self
            .0
            .split_at_checked(end.ok_or(NotStructured)?)
            .ok_or(NotStructured)?;
        self.0 = after;
        self.expect(b':')?;
        let bytes = STANDARD.decode(written).map_err(|_| NotStructured)?;
        Ok(BareItem::Bytes(bytes))
    }
}
