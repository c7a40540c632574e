//! What a log says of a refusal beyond its reason: which rule of the document was not met, and in
//! what way. No client learns any of it.

use std::borrow::Cow;
use std::rc::Rc;

use crate::principal::Principal;
use portcullis_document::Node;

/// Where a rule stands, what it found, and who asked as far as that is known. It is made when a
/// request is refused, and bounded whatever the request holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    rule: Rule,
    facts: Vec<(&'static str, Fact)>,
    /// Whose token it was: its signature and its claims have been accepted, and do not suffice.
    pub principal: Option<Principal>,
    /// Whether the signature of a token that was not accepted is good.
    pub signed: bool,
    /// What a token says that was not accepted.
    pub claimed: Option<Rc<Claimed>>,
}

/// Where the rule stands that was not met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Rule {
    /// Somewhere in the block of the policy.
    #[default]
    Block,
    /// In that block: a JSON pointer that goes on from there.
    Within(Cow<'static, str>),
    /// There in the document.
    At(Rc<str>),
}

/// What was found. It is shown, so it is never the value of a claim, a parameter or a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// One of the filter's own words.
    Word(&'static str),
    /// Some of them.
    Words(Vec<&'static str>),
    /// A name of the document's.
    Trusted(Box<str>),
    /// Some of those.
    TrustedList(Vec<Box<str>>),
    /// What a client sent.
    Untrusted(Box<[u8]>),
    /// A path that a client asked for, without its query.
    Path(Box<[u8]>),
    /// The name of a parameter that a client sent: shown where names of parameters are.
    Parameter(Box<[u8]>),
    /// A number.
    Number(u64),
}

/// What the claims and the header of a token say that was not accepted: whoever sent it may have
/// made it up. Each text is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// `iss`.
    pub issuer: Option<Box<[u8]>>,
    /// `aud`, the first of them.
    pub audiences: Vec<Box<[u8]>>,
    /// `sub`.
    pub subject: Option<Box<[u8]>>,
    /// `kid`.
    pub key_id: Option<Box<[u8]>>,
    /// `alg`.
    pub algorithm: Option<Box<[u8]>>,
    /// Whether its signature is good: then its issuer has made it, once.
    pub signed: bool,
}

/// Where a block of the document stands, and which fields it has.
#[derive(Debug)]
pub struct BlockPlace {
    pointer: Rc<str>,
    fields: Box<[Box<str>]>,
}

/// How much is kept of a text, in bytes.
const LONGEST: usize = 128;
/// How many facts there are of one refusal, and items of a list.
const MOST: usize = 8;
/// What stands behind a text that was cut.
const CUT: &[u8] = "…".as_bytes();

impl Detail {
    /// About a rule in the block of the policy, by a pointer that goes on from there.
    pub fn within(path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            rule: Rule::Within(path.into()),
            ..Self::default()
        }
    }

    /// About a rule anywhere in the document.
    pub fn at(pointer: impl Into<Rc<str>>) -> Self {
        Self {
            rule: Rule::At(pointer.into()),
            ..Self::default()
        }
    }

    /// Says more.
    pub fn and(mut self, name: &'static str, fact: Fact) -> Self {
        if self.facts.len() < MOST {
            self.facts.push((name, fact));
        }
        self
    }

    /// About a token whose signature is good.
    pub fn of_signed(self) -> Self {
        Self {
            signed: true,
            ..self
        }
    }

    /// Says in which block the rule stands, unless that is known. Where nobody said which rule it is,
    /// `usual` is the field; one that is not written has its place in the block.
    pub fn place(&mut self, block: &BlockPlace, usual: Option<&str>) {
        self.rule = Rule::At(match &self.rule {
            Rule::At(_) => return,
            Rule::Within(path) => block.within(path),
            Rule::Block => match usual {
                Some(field) => block.within(&["/", field].concat()),
                None => Rc::clone(&block.pointer),
            },
        });
    }

    /// Says where the rule stands, unless that has been said.
    pub(super) fn place_usually_at(&mut self, pointer: &str) {
        if let Rule::Block = self.rule {
            self.rule = Rule::At(pointer.into());
        }
    }

    /// Where the rule stands, once that is known.
    pub fn rule(&self) -> Option<&str> {
        match &self.rule {
            Rule::At(pointer) => Some(pointer),
            Rule::Block | Rule::Within(_) => None,
        }
    }

    /// What was found.
    pub fn facts(&self) -> &[(&'static str, Fact)] {
        &self.facts
    }

    /// How many bytes of memory it takes. What the document has as well is not counted; claims are,
    /// since a cache that has them too may forget them first.
    pub fn memory(&self) -> usize {
        let rule = match &self.rule {
            Rule::Block => 0,
            Rule::Within(path) => path.len(),
            Rule::At(pointer) => pointer.len(),
        };
        let facts = self.facts.iter().map(|(_, fact)| fact.memory());
        let list = self
            .facts
            .capacity()
            .saturating_mul(size_of::<(&'static str, Fact)>());
        let principal = self.principal.as_ref();
        let parts = [
            size_of::<Self>(),
            rule,
            list,
            principal.map_or(0, Principal::memory),
            self.claimed.as_deref().map_or(0, Claimed::memory),
        ];
        facts.chain(parts).fold(0, usize::saturating_add)
    }
}

impl Fact {
    /// A name of the document's.
    pub fn trusted(name: &str) -> Self {
        Fact::Trusted(cut_name(name))
    }

    /// Names of the document's, the first of them.
    pub fn trusted_list<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Fact::TrustedList(names.take(MOST).map(cut_name).collect())
    }

    /// What a client sent.
    pub fn untrusted(value: &[u8]) -> Self {
        Fact::Untrusted(cut(value))
    }

    /// A path that a client asked for, without its query.
    pub fn path(path: &[u8]) -> Self {
        Fact::Path(cut(path))
    }

    fn memory(&self) -> usize {
        match self {
            Fact::Word(_) | Fact::Number(_) => 0,
            Fact::Words(words) => words.capacity().saturating_mul(size_of::<&str>()),
            Fact::Trusted(name) => name.len(),
            Fact::TrustedList(names) => {
                let list = names.capacity().saturating_mul(size_of::<Box<str>>());
                let lengths = names.iter().map(|name| name.len());
                lengths.fold(list, usize::saturating_add)
            }
            Fact::Untrusted(value) | Fact::Path(value) | Fact::Parameter(value) => value.len(),
        }
    }
}

impl Claimed {
    /// The most audiences that are kept.
    pub const AUDIENCES: usize = 4;

    /// How many bytes of memory its texts take.
    pub fn memory(&self) -> usize {
        let texts = [&self.issuer, &self.subject, &self.key_id, &self.algorithm];
        let texts = texts.into_iter().flatten().chain(&self.audiences);
        let list = self
            .audiences
            .capacity()
            .saturating_mul(size_of::<Box<[u8]>>());
        texts
            .map(|text| text.len())
            .fold(list, usize::saturating_add)
    }

    /// Whether a text is all there.
    pub fn is_whole(text: &[u8]) -> bool {
        !text.ends_with(CUT)
    }
}

impl BlockPlace {
    /// Where the block stands: a JSON pointer.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The place of a block.
    pub fn of(block: &Node<'_>) -> Self {
        let object = block.json().as_object();
        let names = object.into_iter().flat_map(|object| object.iter());
        Self {
            pointer: block.pointer().to_string().into(),
            fields: names.map(|(name, _)| name.into()).collect(),
        }
    }

    /// What it takes of memory.
    pub fn memory(&self) -> usize {
        let own = self.pointer.len().saturating_add(size_of::<Self>());
        let lengths = self.fields.iter().map(|field| field.len());
        let list = self.fields.len().saturating_mul(size_of::<Box<str>>());
        lengths.fold(own.saturating_add(list), usize::saturating_add)
    }

    /// A place in it, or its own if that is not written.
    fn within(&self, path: &str) -> Rc<str> {
        let first = path.split('/').nth(1).unwrap_or_default();
        if self.fields.iter().any(|field| **field == *first) {
            [&self.pointer, path].concat().into()
        } else {
            Rc::clone(&self.pointer)
        }
    }
}

/// A text as it is kept.
pub fn cut(text: &[u8]) -> Box<[u8]> {
    match text.split_at_checked(LONGEST) {
        Some((start, rest)) if !rest.is_empty() => [start, CUT].concat().into(),
        _ => text.into(),
    }
}

fn cut_name(name: &str) -> Box<str> {
    if name.len() <= LONGEST {
        return name.into();
    }
    let end = (0..=LONGEST).rev().find(|end| name.is_char_boundary(*end));
    let start = end.and_then(|end| name.get(..end)).unwrap_or_default();
    [start, "…"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    fn place() -> BlockPlace {
        let json = Json::parse(br#"{"a": {"b": {"c": [1]}, "d": 2}}"#, 8).unwrap();
        let root = Node::root(&json);
        BlockPlace::of(&root.member("a").unwrap())
    }

    #[test]
    fn what_is_not_written_has_the_place_of_its_block() {
        let placed = |mut detail: Detail, usual: Option<&str>| {
            detail.place(&place(), usual);
            // Whoever comes later does not know better.
            detail.place(&place(), Some("d"));
            detail.rule().unwrap().to_owned()
        };
        assert_eq!(placed(Detail::within("/b/c/0"), Some("d")), "/a/b/c/0");
        assert_eq!(placed(Detail::within("/x/c"), Some("d")), "/a");
        assert_eq!(placed(Detail::default(), Some("d")), "/a/d");
        assert_eq!(placed(Detail::default(), Some("x")), "/a");
        assert_eq!(placed(Detail::default(), None), "/a");
        assert_eq!(placed(Detail::at("/z"), Some("d")), "/z");
        assert_eq!(Detail::within("/b").rule(), None);
    }

    #[test]
    fn it_is_bounded_whatever_is_found() {
        let long = "é".repeat(5000);
        let detail = (0..100).fold(Detail::at("/a"), |detail, _| {
            let owns = Fact::trusted_list(std::iter::repeat_n(long.as_str(), 100));
            detail.and("x", owns)
        });
        assert_eq!(detail.facts().len(), MOST);
        assert!(detail.memory() < 16 << 10, "{}", detail.memory());
        let Fact::Trusted(name) = Fact::trusted(&long) else {
            panic!();
        };
        assert!(name.len() <= LONGEST + CUT.len() && name.ends_with('…'));
        assert_eq!(Fact::trusted("short"), Fact::Trusted("short".into()));
        assert!(!Claimed::is_whole(&cut(long.as_bytes())));
        assert!(Claimed::is_whole(&cut(&[b'x'; LONGEST])));
    }
}
