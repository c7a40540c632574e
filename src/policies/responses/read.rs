//! The block of the document.

use super::Unjudged;
use super::head::is_stream;
use super::rules::{SearchRules, WrittenRule};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::media_type::{Format, MediaRange, MediaType};
use portcullis_formats::sensitive::{Kind, Selector, SelectorFault, Treatment};
use portcullis_wire::json::Json;

/// How much of a response is read where the document does not say.
const USUAL_BYTES: u64 = 256 << 10;

/// And at most: all of it is gone through at once.
const MOST_BYTES: u64 = 1 << 20;

/// SearchedStatuses: from one to another.
pub(super) type SearchedStatuses = (u16, u16);

/// `redact` and `forbid`.
pub(super) fn read_rules(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<SearchRules> {
    let (redact, forbid) = (fields.optional("redact"), fields.optional("forbid"));
    if redact.is_none() && forbid.is_none() {
        fields.lacks(
            &["redact", "forbid"],
            problems,
            "needs `redact` or `forbid`: it would do nothing",
        );
        return None;
    }
    let mut written = Vec::new();
    let mut is_whole = true;
    for (node, forbids) in [(redact, false), (forbid, true)] {
        let Some(node) = node else {
            continue;
        };
        let before = written.len();
        let read = read_part(&node, forbids, &mut written, problems);
        if read.is_some() && written.len() == before {
            node.report(problems, "needs `members` or `kinds`: it would do nothing");
            is_whole = false;
        }
        is_whole &= read.is_some();
    }
    let rules = SearchRules::of(written, problems);
    rules.filter(|_| is_whole)
}

fn read_part(
    node: &Node<'_>,
    forbids: bool,
    written: &mut Vec<WrittenRule>,
    problems: &mut Problems,
) -> Option<()> {
    let mut fields = node.fields(problems)?;
    let members = fields.optional("members");
    let kinds = fields.optional("kinds");
    fields.deny_unknown(problems);
    let members = members.map(|node| match forbids {
        true => read_list(&node, problems, read_member),
        false => read_treatments(&node, problems, read_member),
    });
    let kinds = kinds.map(|node| match forbids {
        true => read_list(&node, problems, read_kind),
        false => read_treatments(&node, problems, read_kind),
    });
    for part in [members, kinds].into_iter().flatten() {
        written.extend(part?);
    }
    Some(())
}

type ReadName = fn(&Node<'_>, &str, &mut Problems) -> Option<SearchedFor>;

/// What a rule is about.
pub(super) enum SearchedFor {
    Members(Selector),
    Text(Kind),
}

fn read_list(node: &Node<'_>, problems: &mut Problems, read: ReadName) -> Option<Vec<WrittenRule>> {
    node.list(problems, |node, problems| {
        let name = node.text(problems)?;
        Some(WrittenRule {
            sought: read(node, name, problems)?,
            treatment: Treatment::Forbid,
            place: node.pointer().clone(),
        })
    })
}

fn read_treatments(
    node: &Node<'_>,
    problems: &mut Problems,
    read: ReadName,
) -> Option<Vec<WrittenRule>> {
    if let Json::Array(_) = node.json() {
        node.report(
            problems,
            "must be an object that says what becomes of each: {\"…\": \"mask\"}",
        );
        return None;
    }
    let members = node.members(problems)?;
    let rules = members.into_iter().map(|(name, node)| {
        let choices = [("mask", Treatment::Mask), ("remove", Treatment::Remove)];
        let treatment = node.choice(problems, &choices);
        let sought = read(&node, name, problems);
        Some(WrittenRule {
            sought: sought?,
            treatment: treatment?,
            place: node.pointer().clone(),
        })
    });
    let rules: Vec<Option<WrittenRule>> = rules.collect();
    rules.into_iter().collect()
}

fn read_member(node: &Node<'_>, name: &str, problems: &mut Problems) -> Option<SearchedFor> {
    let reason = match Selector::parse(name) {
        Ok(selector) => return Some(SearchedFor::Members(selector)),
        Err(SelectorFault::Empty) => "must be a name, or a JSON pointer such as \"/user/ssn\"",
        Err(SelectorFault::Escape) => {
            "is no JSON pointer: in a step, `~` is written `~0`, and `/` is `~1`"
        }
        Err(SelectorFault::Deep) => {
            "has more than 128 steps: responses that nest as deep are not read, so it would mean nothing"
        }
    };
    node.report(problems, reason);
    None
}

fn read_kind(node: &Node<'_>, name: &str, problems: &mut Problems) -> Option<SearchedFor> {
    let found = Kind::OF_TEXT.into_iter().find(|kind| kind.name() == name);
    if found.is_none() {
        let names = Kind::OF_TEXT.map(Kind::name).join("`, `");
        node.report(
            problems,
            format_args!("is no kind of text; the kinds are `{names}`"),
        );
    }
    found.map(SearchedFor::Text)
}

pub(super) fn read_statuses(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<Vec<SearchedStatuses>> {
    let classes = [("2xx", 200), ("3xx", 300), ("4xx", 400), ("5xx", 500)];
    fields.or_default("statuses", Vec::new(), problems, |node, problems| {
        node.list(problems, |node, problems| {
            let (status, is_class) = node.status(problems, 200..=599, &classes)?;
            let status = u16::try_from(status).ok()?;
            let last = if is_class {
                status.saturating_add(99)
            } else {
                status
            };
            Some((status, last))
        })
    })
}

/// Media types that are searched besides JSON.
pub(super) fn read_types(
    fields: &mut Fields<'_>,
    rules: Option<&SearchRules>,
    problems: &mut Problems,
) -> Option<Vec<MediaRange>> {
    let Some(node) = fields.optional("types") else {
        return Some(Vec::new());
    };
    if rules.is_some_and(|rules| rules.kinds.is_empty()) {
        node.report(
            problems,
            "says nothing without `kinds`: members are found in JSON alone",
        );
        return None;
    }
    node.list(problems, |node, problems| {
        let range = MediaRange::read(node, problems)?;
        let reason = if range.is_json() {
            "is JSON, which is searched in any case"
        } else if range.may_be(Format::Grpc) && !range.may_be(Format::Opaque) {
            "is gRPC, which is not searched"
        } else if MediaType::parse(range.as_str().as_bytes()).is_some_and(|one| is_stream(&one)) {
            "comes without an end, and is not searched: what becomes of it says `streams`"
        } else {
            return Some(range);
        };
        node.report(problems, reason);
        None
    })
}

pub(super) fn read_most(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<u64> {
    fields.or_default("max_bytes", USUAL_BYTES, problems, |node, problems| {
        let most = node.bytes(problems)?;
        let reason = match most {
            0 => "would have no response searched",
            1..=MOST_BYTES => return Some(most),
            _ => "must be at most 1MiB: all of a response is searched at once, while its worker stands still",
        };
        node.report(problems, reason);
        None
    })
}

pub(super) fn read_unjudged(node: &Node<'_>, problems: &mut Problems) -> Option<Unjudged> {
    let choices = [("refuse", Unjudged::Refuse), ("pass", Unjudged::Pass)];
    node.choice(problems, &choices)
}
