//! Reads how a version, or the deprecated operations of an API, grow old.

use std::fmt::Write as _;
use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::edit::Edit;
use portcullis_exchange::lifecycle::{Brownout, Lifecycle};
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::json::quoted;

use super::dates::http_date;
use crate::authn::moment::{Moment, Rounding, read_moment};

/// Names of the fields that tell of it: RFC 9745, RFC 8594, RFC 8288.
pub(super) const DEPRECATION: &str = "deprecation";
pub(super) const SUNSET: &str = "sunset";
pub(super) const LINK: &str = "link";

/// The relations of links: RFC 9745 §3, RFC 8594 §6, RFC 5829 §3.4.
pub(super) const RELATIONS: [&str; 3] = ["deprecation", "sunset", "successor-version"];

/// How an address begins that is followed without TLS.
const IN_CLEAR: &str = "http://";

/// The most windows of one version.
const MOST_WINDOWS: usize = 64;

/// What is written of where to go.
struct Directions {
    guide: Option<Box<str>>,
    sunset_policy: Option<Box<str>>,
    successor: Option<Box<str>>,
}

/// Reads dates and links. `successor` is the name of the version to go to, if there is one.
pub(crate) fn read_lifecycle(
    fields: &mut Fields<'_>,
    successor: Option<&str>,
    is_removed: bool,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<Lifecycle> {
    let mut read = |name: &'static str, problems: &mut Problems| {
        fields.or_default(name, None, problems, |node, problems| {
            read_moment(node, Rounding::Down, "", problems).map(Some)
        })
    };
    let deprecated = read("deprecated", problems);
    let sunset = read("sunset", problems);
    let brownouts = fields.or_default("brownouts", Vec::new(), problems, |node, problems| {
        let windows = node.list(problems, read_window)?;
        if windows.len() > MOST_WINDOWS {
            node.report(problems, format_args!("has more than {MOST_WINDOWS} items"));
            return None;
        }
        Some(windows)
    });
    let mut read = |name: &'static str, problems: &mut Problems| {
        fields.or_default(name, None, problems, |node, problems| {
            let link = read_link(node, problems)?;
            if link.starts_with(IN_CLEAR) {
                notes.push(format!(
                    "{}: clients and people follow it, and whoever is on the way of http:// decides where that leads; write https://",
                    node.pointer()
                ));
            }
            Some(Some(link))
        })
    };
    let guide = read("guide", problems);
    let sunset_policy = read("sunset_policy", problems);
    let successor_link = read("successor_link", problems);
    let (deprecated, sunset, brownouts) = (deprecated?, sunset?, brownouts?);
    let directions = Directions {
        guide: guide?,
        sunset_policy: sunset_policy?,
        successor: successor_link?,
    };
    check_order(fields, (deprecated, sunset), &brownouts, problems)?;
    let written = written(deprecated, sunset, &directions);
    Some(Lifecycle {
        deprecated,
        sunset,
        is_removed,
        brownouts,
        edits: edits(&written),
        fields: written,
        members: members(successor, &directions).into(),
    })
}

/// RFC 9745 §4: nothing is no more before clients are to leave it.
fn check_order(
    fields: &Fields<'_>,
    (deprecated, sunset): (Option<u32>, Option<u32>),
    brownouts: &[Brownout],
    problems: &mut Problems,
) -> Option<()> {
    let at = fields.pointer();
    if let (Some(deprecated), Some(sunset)) = (deprecated, sunset)
        && sunset < deprecated
    {
        problems.report(
            &at.member("sunset"),
            "is before `deprecated`: clients would lose what they have not been told to leave",
        );
        return None;
    }
    if brownouts.is_empty() {
        return Some(());
    }
    // Of two at once only one could be meant.
    let met = |at: usize, window: &Brownout| {
        let mut before = brownouts.iter().take(at);
        before.position(|other| window.from < other.until && other.from < window.until)
    };
    let mut places = brownouts.iter().enumerate();
    let overlap = places.find_map(|(at, window)| Some((at, met(at, window)?)));
    if let Some((place, other)) = overlap
        && let Some(Brownout { from, until, .. }) = brownouts.get(other)
    {
        problems.report(
            &at.member("brownouts").item(place),
            format_args!(
                "overlaps the window at {}, from {} until {}; let one end before the other begins, or make one of them",
                at.member("brownouts").item(other),
                Moment(*from),
                Moment(*until),
            ),
        );
        return None;
    }
    let early = |each: &Brownout| deprecated.is_some_and(|deprecated| each.from < deprecated);
    if let Some(early) = brownouts.iter().position(early) {
        problems.report(
            &at.member("brownouts").item(early),
            "begins before `deprecated`: clients would be refused what they have not been told to leave; begin it later, or deprecate the version earlier",
        );
        return None;
    }
    let Some(sunset) = sunset else {
        problems.report(
            &at.member("brownouts"),
            "come before a `sunset`, and there is none: say when it is",
        );
        return None;
    };
    let late = brownouts.iter().position(|each| each.until > sunset);
    if let Some(late) = late {
        problems.report(
            &at.member("brownouts").item(late),
            "ends behind the `sunset`, from which on every request is refused",
        );
        return None;
    }
    Some(())
}

/// `{ "from", "until", "percent" }`.
fn read_window(node: &Node<'_>, problems: &mut Problems) -> Option<Brownout> {
    let mut fields = node.object(problems, "{\"from\": \"…\", \"until\": \"…\"}")?;
    let mut read = |name: &'static str, problems: &mut Problems| {
        let node = fields.required(name, problems)?;
        read_moment(&node, Rounding::Down, "", problems)
    };
    let from = read("from", problems);
    let until = read("until", problems);
    let percent = fields.or_default("percent", 100, problems, |node, problems| {
        let percent = node.integer(problems, 1..=100)?;
        u8::try_from(percent).ok()
    });
    fields.deny_unknown(problems);
    let (from, until, percent) = (from?, until?, percent?);
    if from >= until {
        node.report(problems, "has no time in it: `until` is not behind `from`");
        return None;
    }
    Some(Brownout::new(from, until, percent))
}

/// A URI reference that can stand in `Link`, and that browsers follow.
fn read_link(node: &Node<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = node.non_empty(problems)?;
    let is_plain = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b));
    let begins = ["https://", IN_CLEAR].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    });
    let is_path = text.starts_with('/') && !text.starts_with("//");
    if is_plain && (begins || is_path) {
        return Some(text.into());
    }
    node.report(
        problems,
        "must be an address that clients can follow: \"https://…\", or a path of this host, \"/…\"",
    );
    None
}

/// The fields, in order.
fn written(
    deprecated: Option<u32>,
    sunset: Option<u32>,
    directions: &Directions,
) -> Vec<(HeaderName, HeaderValue)> {
    let link = |target: &Option<Box<str>>, relation: &str| {
        let target = target.as_ref()?;
        Some((LINK, format!("<{target}>; rel=\"{relation}\"")))
    };
    let [of_deprecation, of_sunset, of_successor] = RELATIONS;
    let is_ending = sunset.is_some();
    let policy = directions.sunset_policy.clone();
    let policy = policy.or_else(|| directions.guide.clone().filter(|_| is_ending));
    let texts = [
        // RFC 9745 §2: a date of RFC 9651.
        deprecated.map(|date| (DEPRECATION, format!("@{date}"))),
        sunset.map(|date| (SUNSET, http_date(date))),
        link(&directions.guide, of_deprecation),
        link(&policy, of_sunset),
        link(&directions.successor, of_successor),
    ];
    let texts = texts.into_iter().flatten();
    let fields = texts.filter_map(|(name, value)| {
        let value = HeaderValue::parse(value.as_bytes()).ok()?;
        Some((HeaderName::parse(name).ok()?, value))
    });
    fields.collect()
}

/// Links are added: an answer may have others, and pages of a list are among them.
fn edits(fields: &[(HeaderName, HeaderValue)]) -> Rc<[Edit]> {
    let edit = |(name, value): &(HeaderName, HeaderValue)| match name.as_str() {
        LINK => Edit::Add(name.clone(), value.clone()),
        _ => Edit::Set(name.clone(), value.clone()),
    };
    fields.iter().map(edit).collect()
}

/// Members of the problem document.
fn members(successor: Option<&str>, directions: &Directions) -> String {
    let mut members = String::new();
    let named = [
        ("successor", successor),
        ("successor_link", directions.successor.as_deref()),
        ("guide", directions.guide.as_deref()),
    ];
    for (name, text) in named {
        if let Some(text) = text {
            let comma = if members.is_empty() { "" } else { "," };
            // Writing to a `String` cannot fail.
            let _ = write!(members, "{comma}\"{name}\":{}", quoted(text));
        }
    }
    members
}
