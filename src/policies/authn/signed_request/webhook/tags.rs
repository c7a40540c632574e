//! How tags stand in a header field.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use portcullis_document::{Fields, Node, Problems};

use super::mac::MacTag;
use crate::authn::signed_request::shared_secret::unhex;

/// How tags stand in the value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagForm {
    pub(super) layout: TagLayout,
    pub(super) encoding: TagEncoding,
}

/// Where in the value they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagLayout {
    /// One tag behind a prefix, or several such with a byte between them. What has another prefix is of another
    /// version, and nothing to us.
    Prefixed {
        prefix: Box<str>,
        separator: Option<u8>,
    },
    /// `t=17,v1=…,v1=…`: the values of that name.
    Parameter { name: Box<str> },
}

/// How a tag is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagEncoding {
    Hex,
    Base64,
    /// With padding or without.
    Base64Url,
}

/// The value is not of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoTag;

/// The most tags, of other versions too, and parameters of one field.
pub(super) const MOST_TAGS: usize = 16;
/// The longest prefix, and the longest name of a parameter.
const LONGEST: usize = 32;

impl TagForm {
    /// Reads `prefix`, `separator`, `parameter` and `encoding`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let prefix = fields.or_default("prefix", "", problems, read_short);
        let has_separator = fields.optional("separator").is_some();
        let separator = fields.or_default("separator", None, problems, |node, problems| {
            node.choice(problems, &[(" ", Some(b' ')), (",", Some(b','))])
        });
        let encoding = fields.required("encoding", problems).and_then(|node| {
            let choices = [
                ("hex", TagEncoding::Hex),
                ("base64", TagEncoding::Base64),
                ("base64url", TagEncoding::Base64Url),
            ];
            node.choice(problems, &choices)
        });
        let parameter = fields.optional("parameter");
        let (prefix, separator, encoding) = (prefix?, separator?, encoding?);
        let layout = match parameter {
            None => TagLayout::Prefixed {
                prefix: prefix.into(),
                separator,
            },
            Some(node) => {
                let name = read_parameter(&node, problems)?;
                if !prefix.is_empty() || has_separator {
                    node.report(
                        problems,
                        "cannot stand beside `prefix` and `separator`: parameters have `,` between them",
                    );
                    return None;
                }
                TagLayout::Parameter { name }
            }
        };
        Some(Self { layout, encoding })
    }

    /// The tags of a value: one at least.
    pub(super) fn tags(&self, value: &[u8]) -> Result<Vec<MacTag>, NoTag> {
        let written: Vec<&[u8]> = match &self.layout {
            TagLayout::Prefixed {
                prefix,
                separator: None,
            } => vec![value.strip_prefix(prefix.as_bytes()).ok_or(NoTag)?],
            TagLayout::Prefixed {
                prefix,
                separator: Some(separator),
            } => {
                let items = value.split(|b| b == separator).map(<[u8]>::trim_ascii);
                let items: Vec<&[u8]> = items.take(MOST_TAGS.saturating_add(1)).collect();
                if items.len() > MOST_TAGS {
                    return Err(NoTag);
                }
                let prefixed = items.into_iter();
                prefixed
                    .filter_map(|item| item.strip_prefix(prefix.as_bytes()))
                    .collect()
            }
            TagLayout::Parameter { name } => parameters(value, name)?,
        };
        if written.is_empty() {
            return Err(NoTag);
        }
        let tags = written.into_iter().map(|tag| self.encoding.decode(tag));
        tags.collect::<Option<_>>().ok_or(NoTag)
    }
}

impl TagEncoding {
    fn decode(self, written: &[u8]) -> Option<MacTag> {
        // No tag is longer, and nothing longer is decoded.
        if written.len() > 64 {
            return None;
        }
        let tag = match self {
            TagEncoding::Hex => unhex(written)?,
            TagEncoding::Base64 => STANDARD.decode(written).ok()?,
            TagEncoding::Base64Url if written.ends_with(b"=") => URL_SAFE.decode(written).ok()?,
            TagEncoding::Base64Url => URL_SAFE_NO_PAD.decode(written).ok()?,
        };
        tag.try_into().ok()
    }
}

/// The values of that name in `name=value,name=value`.
pub(super) fn parameters<'v>(value: &'v [u8], name: &str) -> Result<Vec<&'v [u8]>, NoTag> {
    let mut found = Vec::new();
    for (place, item) in value.split(|b| *b == b',').enumerate() {
        let item = item.trim_ascii();
        let at = item.iter().position(|b| *b == b'=').ok_or(NoTag)?;
        let (own, value) = item.split_at_checked(at).ok_or(NoTag)?;
        if place >= MOST_TAGS {
            return Err(NoTag);
        }
        if own == name.as_bytes() {
            found.extend(value.get(1..));
        }
    }
    Ok(found)
}

/// Reads the name of a parameter.
pub(super) fn read_parameter(node: &Node<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let name = node.non_empty(problems)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if name.len() > LONGEST || !name.bytes().all(plain) {
        node.report(
            problems,
            "must be 1 to 32 letters, digits, `_` and `-`: the name before a `=`",
        );
        return None;
    }
    Some(name.into())
}

fn read_short<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let prefix = node.text(problems)?;
    let plain = |b: u8| (b'!'..=b'~').contains(&b);
    if prefix.len() > LONGEST || !prefix.bytes().all(plain) {
        node.report(
            problems,
            "must be at most 32 printable ASCII characters, without blanks",
        );
        return None;
    }
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const BASE64: &str = "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=";

    fn form(layout: TagLayout, encoding: TagEncoding) -> TagForm {
        TagForm { layout, encoding }
    }

    fn prefixed(prefix: &str, separator: Option<u8>) -> TagLayout {
        TagLayout::Prefixed {
            prefix: prefix.into(),
            separator,
        }
    }

    #[test]
    fn tags_stand_behind_prefixes_and_in_parameters() {
        let expected: MacTag = unhex(HEX.as_bytes()).unwrap().try_into().unwrap();
        let url = BASE64.replace('/', "_");
        let whole = form(prefixed("sha256=", None), TagEncoding::Hex);
        let listed = form(prefixed("v1,", Some(b' ')), TagEncoding::Base64);
        let named = form(TagLayout::Parameter { name: "v1".into() }, TagEncoding::Hex);
        let bare = form(prefixed("", None), TagEncoding::Base64Url);
        for (form, value, count) in [
            (&whole, format!("sha256={HEX}"), 1),
            (&whole, format!("sha256={}", HEX.to_uppercase()), 1),
            (&listed, format!("v1,{BASE64}"), 1),
            (&listed, format!("v1a,AAAA v1,{BASE64} v2,x v1,{BASE64}"), 2),
            (&named, format!("t=17,v1={HEX},v0=aa,v1={HEX}"), 2),
            (&named, format!("t=17, v1={HEX}"), 1),
            (&bare, url.clone(), 1),
            (&bare, url.trim_end_matches('=').to_owned(), 1),
        ] {
            let tags = form.tags(value.as_bytes());
            assert_eq!(tags, Ok(vec![expected; count]), "{value}");
        }
    }

    #[test]
    fn what_is_of_another_form_is_no_tag() {
        let whole = form(prefixed("sha256=", None), TagEncoding::Hex);
        let listed = form(prefixed("v1,", Some(b' ')), TagEncoding::Base64);
        let named = form(TagLayout::Parameter { name: "v1".into() }, TagEncoding::Hex);
        for (form, value) in [
            (&whole, HEX.to_owned()),
            (&whole, format!("sha1={HEX}")),
            (&whole, format!("sha256={HEX} ")),
            (&whole, format!("sha256={HEX}00")),
            (
                &whole,
                format!("sha256={}", HEX.strip_prefix("75").unwrap()),
            ),
            (
                &whole,
                format!("sha256={}g", HEX.strip_prefix("7").unwrap()),
            ),
            (&whole, String::new()),
            (&listed, format!("v1a,{BASE64}")),
            (&listed, format!("v1,{BASE64},v1,{BASE64}")),
            (&listed, "v1,".to_owned()),
            (&listed, format!("v1,{}", BASE64.trim_end_matches('='))),
            (&listed, format!("v1,{}", BASE64.replace("Phc=", "Phd="))),
            (&listed, vec!["v2,x"; 17].join(" ")),
            (&named, "t=17".to_owned()),
            (&named, format!("t=17,v1={HEX},")),
            (&named, format!("t=17;v1={HEX}")),
            (&named, vec![format!("v1={HEX}"); 17].join(",")),
        ] {
            assert_eq!(form.tags(value.as_bytes()), Err(NoTag), "{value}");
        }
    }
}
