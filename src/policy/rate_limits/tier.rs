//! Different numbers for different callers.

use std::time::Duration;

use super::gcra::{BucketError, Gcra};
use super::key::{Caller, Unkeyed};
use super::rule::Rule;
use super::sliding_window::SlidingWindow;
use super::table::Table;
use crate::config::{Fields, Node, Problems};
use crate::headers::HeaderName;
use crate::json::compact::Value;
use crate::matcher::StringMatcher;
use crate::policy::Stage;
use crate::policy::jwt::ClaimPath;
use crate::route::read_header_name;

/// Numbers, and for whom they are.
#[derive(Debug)]
pub(super) struct Tier {
    pub(super) when: Option<Condition>,
    /// Where callers of this tier count; none if they are not limited.
    pub(super) table: Option<Table>,
}

/// A tier as it is written.
pub(super) struct TierDraft {
    pub(super) when: Option<Condition>,
    pub(super) rule: Option<Rule>,
    /// Tells its table from those of the other tiers.
    pub(super) name: String,
}

/// Whom a tier is for.
#[derive(Debug)]
pub(super) enum Condition {
    /// A claim of the accepted token.
    Claim(ClaimPath, StringMatcher),
    /// A header field of the request.
    Header(HeaderName, StringMatcher),
    /// Whether there is an accepted token.
    Authenticated(bool),
}

impl TierDraft {
    /// Whether it depends on tokens.
    pub(super) fn is_of_tokens(&self) -> bool {
        let claim = |when: &Condition| matches!(when, Condition::Claim(..));
        self.when.as_ref().is_some_and(claim)
    }

    /// Reads one item of `tiers`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let written = fields.required("when", problems);
        let when = written
            .as_ref()
            .and_then(|node| Condition::read(node, problems));
        let unlimited = fields.or("unlimited", false, problems, |node, problems| {
            let unlimited = node.boolean(problems)?;
            if !unlimited {
                node.report(problems, "says nothing; leave it out");
            }
            Some(unlimited)
        });
        let rule = read_rule(&mut fields, problems);
        let place = fields.pointer().clone();
        fields.finish(problems);
        let (when, unlimited, rule) = (when?, unlimited?, rule?);
        if unlimited == rule.is_some() {
            problems.lacks(
                &place,
                "needs one of \"token_bucket\", \"sliding_window\", \"unlimited\"",
            );
            return None;
        }
        Some(Self {
            when: Some(when),
            rule,
            name: written?.json().to_string(),
        })
    }
}

impl Condition {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let claim = fields.optional("claim");
        let header = fields.optional("header");
        let authenticated = fields.optional("authenticated");
        let matcher = StringMatcher::read(&mut fields, problems);
        let place = fields.pointer().clone();
        fields.finish(problems);
        match (claim, header, authenticated, matcher.ok()?) {
            (Some(claim), None, None, Some(matcher)) => Some(Condition::Claim(
                ClaimPath::read(&claim, problems)?,
                matcher,
            )),
            (None, Some(header), None, Some(matcher)) => Some(Condition::Header(
                read_header_name(&header, problems)?,
                matcher,
            )),
            (None, None, Some(authenticated), None) => authenticated
                .boolean(problems)
                .map(Condition::Authenticated),
            _ => {
                problems.lacks(
                    &place,
                    "needs \"authenticated\", or one of \"claim\" and \"header\" with one of \"exact\", \"prefix\", \"suffix\", \"contains\", \"regex\"",
                );
                None
            }
        }
    }

    /// When it can be told.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Condition::Claim(..) | Condition::Authenticated(_) => Stage::Identity,
            Condition::Header(..) => Stage::Arrival,
        }
    }

    /// Whether the caller is one of them.
    ///
    /// # Errors
    /// A header field came more than once: which of them counts is not for the client to choose.
    /// Or it would take too much work to tell.
    pub(super) fn holds(&self, caller: &Caller<'_>) -> Result<bool, Unkeyed> {
        let principal = caller.facts.principal.as_ref();
        let matches = |matcher: &StringMatcher, text: &str| {
            let matches = matcher.matches(text, caller.request.effort);
            matches.map_err(|_| Unkeyed::Effort)
        };
        Ok(match self {
            Condition::Authenticated(expected) => principal.is_some() == *expected,
            Condition::Claim(path, matcher) => {
                let claim = principal.and_then(|who| path.value(&who.attributes));
                match claim {
                    Some(Value::String(text) | Value::Number(text)) => matches(matcher, text)?,
                    Some(Value::Bool(value)) => {
                        matches(matcher, if value { "true" } else { "false" })?
                    }
                    _ => false,
                }
            }
            Condition::Header(name, matcher) => {
                let value = caller.request.headers.one(name.as_str());
                let value = value.map_err(|_| Unkeyed::Repeated)?;
                let text = value.and_then(|value| std::str::from_utf8(value).ok());
                match text {
                    Some(text) => matches(matcher, text)?,
                    None => false,
                }
            }
        })
    }
}

/// The place of a tier that has the condition of an earlier one.
pub(super) fn repeated(tiers: &[TierDraft]) -> Option<usize> {
    let before = |index: usize| tiers.get(..index).unwrap_or_default().iter();
    let mut places = tiers.iter().enumerate();
    let found = places.find(|(index, tier)| before(*index).any(|other| other.name == tier.name));
    found.map(|(index, _)| index)
}

/// Reads `token_bucket` or `sliding_window`. `Some(None)` when neither is there.
pub(super) fn read_rule(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Option<Rule>> {
    let bucket = fields.optional("token_bucket");
    let window = fields.optional("sliding_window");
    match (bucket, window) {
        (None, None) => Some(None),
        (Some(node), None) => read_bucket(&node, problems).map(Some),
        (None, Some(node)) => read_window(&node, problems).map(Some),
        (Some(_), Some(second)) => {
            second.report(
                problems,
                "cannot stand beside `token_bucket`; make it a limit of its own",
            );
            None
        }
    }
}

fn read_bucket(node: &Node<'_>, problems: &mut Problems) -> Option<Rule> {
    const MOST: u64 = u32::MAX as u64;
    let mut fields = node.fields(problems)?;
    let max_tokens = fields
        .required("max_tokens", problems)
        .and_then(|node| node.integer(problems, 1..=MOST));
    let tokens_per_fill = fields.or("tokens_per_fill", 1, problems, |node, problems| {
        node.integer(problems, 1..=MOST)
    });
    let fill_interval = fields
        .required("fill_interval", problems)
        .and_then(|node| node.duration(problems));
    fields.finish(problems);
    let (max_tokens, tokens_per_fill) = (max_tokens?, tokens_per_fill?);
    match Gcra::new(max_tokens, tokens_per_fill, nanoseconds(fill_interval?)) {
        Ok(bucket) => Some(Rule::TokenBucket(bucket)),
        Err(error) => {
            let reason = match error {
                BucketError::TooFast => {
                    "fills faster than a token in a microsecond; a limit that high limits nothing"
                }
                BucketError::TooSlow => "takes more than a hundred years to be full",
            };
            node.report(problems, reason);
            None
        }
    }
}

fn read_window(node: &Node<'_>, problems: &mut Problems) -> Option<Rule> {
    let mut fields = node.fields(problems)?;
    let requests = fields
        .required("requests", problems)
        .and_then(|node| node.integer(problems, 1..=1_000_000_000));
    let per_node = fields.required("per", problems);
    let per = per_node.as_ref().and_then(|node| node.duration(problems));
    fields.finish(problems);
    let window = SlidingWindow::new(u32::try_from(requests?).ok()?, nanoseconds(per?));
    if let (None, Some(node)) = (window, per_node) {
        node.report(problems, "must not be 0");
    }
    window.map(Rule::SlidingWindow)
}

/// A duration of the document or of the clock; five hundred years fit.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::cells::Alone;
    use super::*;
    use crate::effort::Effort;
    use crate::exchange::{Facts, Request};
    use crate::headers::Headers;
    use crate::json::Json;
    use crate::json::compact::Compact;
    use crate::principal::{CredentialKind, Principal};
    use crate::target::{Authority, Target};

    /// Whether a caller of that name is of a tier, where so many steps are left.
    fn holds(when: &str, name: &str, steps: u64) -> Result<bool, Unkeyed> {
        let json = Json::parse(when.as_bytes(), 4).unwrap();
        let condition = Condition::read(&Node::root(&json), &mut Problems::default()).unwrap();
        let mut headers = Headers::default();
        headers.push(b"x-name", name.as_bytes());
        let mut facts = Facts::default();
        facts.principal = Some(Principal {
            kind: CredentialKind::Jwt,
            authority: "corp".into(),
            attributes: Compact::parse(format!(r#"{{"name":"{name}"}}"#).as_bytes(), 2).unwrap(),
        });
        condition.holds(&Caller {
            request: Request {
                headers: &headers,
                authority: &Authority::default(),
                target: &Target::parse(b"/").unwrap(),
                effort: &Effort::new(steps),
            },
            route: "a",
            facts: &facts,
            host: &Alone::default(),
        })
    }

    #[test]
    fn what_is_too_costly_is_of_no_tier() {
        for when in [
            r#"{"claim": "name", "regex": ".*a.*"}"#,
            r#"{"header": "x-name", "regex": ".*a.*"}"#,
        ] {
            let long = "b".repeat(2000);
            assert_eq!(holds(when, &long, 100_000), Ok(false), "{when}");
            assert_eq!(holds(when, &long, 1000), Err(Unkeyed::Effort), "{when}");
            assert_eq!(holds(when, "a", 1000), Ok(true), "{when}");
        }
    }
}
