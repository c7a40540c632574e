//! `content_security_policy`: Content-Security-Policy Level 3 as directives with lists.

mod advice;
mod directive;
mod source;

use self::directive::{DIRECTIVES, GONE, Takes};
use self::source::Source;
use super::structured::{Disposition, StructuredHeader};
use portcullis_document::{DidYouMean, Node, Problems, Quoted};
use portcullis_exchange::policy::Context;

pub(super) const HEADER: StructuredHeader = StructuredHeader {
    enforced: "content-security-policy",
    report_only: "content-security-policy-report-only",
    write,
};

/// One directive, with its sources if it has such.
struct Directive<'d> {
    name: &'static str,
    values: Vec<&'d str>,
    sources: Vec<Source>,
    takes: Takes,
}

/// Reads the directives and writes them down as they go into the header field.
fn write(node: &Node<'_>, disposition: Disposition, context: &mut Context<'_>) -> Option<String> {
    let entries = node.members(context.problems)?;
    if entries.is_empty() {
        node.report(context.problems, "must not be empty");
        return None;
    }
    let read: Vec<Option<Directive<'_>>> = entries
        .iter()
        .map(|(name, node)| Directive::read(name, node, disposition, context.problems))
        .collect();
    let directives: Vec<Directive<'_>> = read.into_iter().collect::<Option<_>>()?;
    for note in advice::on(&directives, disposition) {
        context.notes.push(format!("{}: {note}", node.pointer()));
    }
    let written: Vec<String> = directives.iter().map(Directive::written).collect();
    Some(written.join("; "))
}

impl<'d> Directive<'d> {
    fn read(
        name: &str,
        node: &Node<'d>,
        disposition: Disposition,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some((name, takes)) = DIRECTIVES.iter().find(|(each, _)| *each == name) else {
            report_unknown(name, node, problems);
            return None;
        };
        // CSP Level 3 §6.3.2; Upgrade Insecure Requests §3.1.
        if disposition == Disposition::Report
            && ["sandbox", "upgrade-insecure-requests"].contains(name)
        {
            node.report(
                problems,
                "browsers ignore it in a policy that only reports; write it under \"directives\"",
            );
            return None;
        }
        let items = node.items(problems)?;
        let texts: Vec<Option<&str>> = items.iter().map(|item| item.text(problems)).collect();
        let values: Vec<&str> = texts.into_iter().collect::<Option<_>>()?;
        let distinct = report_repeated(&items, &values, problems);
        let sources = match takes {
            Takes::Scripts | Takes::Styles | Takes::Places => {
                read_sources(name, *takes, &items, &values, problems)
            }
            _ => check_words(*takes, node, &items, &values, problems).map(|()| Vec::new()),
        };
        distinct?;
        Some(Self {
            name,
            values,
            sources: sources?,
            takes: *takes,
        })
    }

    /// A list of sources without any allows nothing, which browsers have a keyword for.
    fn written(&self) -> String {
        let nothing = matches!(self.takes, Takes::Scripts | Takes::Styles | Takes::Places)
            && self.values.is_empty();
        let values: &[&str] = if nothing { &["'none'"] } else { &self.values };
        [&[self.name], values].concat().join(" ")
    }
}

fn report_unknown(name: &str, node: &Node<'_>, problems: &mut Problems) {
    match GONE.iter().find(|(each, _)| *each == name) {
        Some((_, cure)) => node.report(problems, format_args!("no longer does anything; {cure}")),
        None => {
            let near = DidYouMean(name, DIRECTIVES.iter().map(|(name, _)| *name));
            node.report(problems, format_args!("unknown directive{near}"));
        }
    }
}

fn report_repeated(items: &[Node<'_>], values: &[&str], problems: &mut Problems) -> Option<()> {
    let mut whole = Some(());
    for (index, (item, value)) in items.iter().zip(values).enumerate() {
        if values.iter().take(index).any(|each| each == value) {
            item.report(problems, "stands in this list twice");
            whole = None;
        }
    }
    whole
}

fn read_sources(
    directive: &str,
    takes: Takes,
    items: &[Node<'_>],
    values: &[&str],
    problems: &mut Problems,
) -> Option<Vec<Source>> {
    let mut sources = Vec::with_capacity(values.len());
    for (item, value) in items.iter().zip(values) {
        let source = Source::parse(value)
            .map_err(|error| item.report(problems, error))
            .ok();
        sources.push(source.filter(|source| {
            let sensible = match source {
                Source::None if values.len() > 1 => {
                    item.report(problems, "allows nothing, and so must stand alone");
                    return false;
                }
                Source::Script(_) => takes == Takes::Scripts,
                Source::Inline(_) | Source::Hash => takes != Takes::Places,
                _ => true,
            };
            if !sensible {
                let directive = Quoted(directive);
                item.report(problems, format_args!("means nothing in {directive}"));
            }
            sensible
        }));
    }
    sources.into_iter().collect()
}

fn check_words(
    takes: Takes,
    node: &Node<'_>,
    items: &[Node<'_>],
    values: &[&str],
    problems: &mut Problems,
) -> Option<()> {
    let count = match takes {
        Takes::Nothing => values.is_empty(),
        Takes::OneOf(_) | Takes::Endpoint => values.len() == 1,
        Takes::Urls => !values.is_empty(),
        _ => true,
    };
    if !count {
        let cure = match takes {
            Takes::Nothing => "takes nothing: write []",
            Takes::Urls => "must name at least one URL",
            _ => "must be a list of one",
        };
        node.report(problems, cure);
        return None;
    }
    let mut whole = Some(());
    for (item, value) in items.iter().zip(values) {
        let fits = match takes {
            Takes::Words(words) | Takes::OneOf(words) => words.contains(value),
            Takes::PolicyNames => is_policy_name(value),
            Takes::Urls => is_report_url(value),
            _ => is_endpoint(value),
        };
        if fits {
            continue;
        }
        whole = None;
        match takes {
            Takes::Words(words) | Takes::OneOf(words) => {
                let near = DidYouMean(value, words.iter().copied());
                let list = words.join(", ");
                item.report(problems, format_args!("must be one of {list}{near}"));
            }
            Takes::PolicyNames => item.report(
                problems,
                "must be the name of a policy (letters, digits and -#=_/@.%), \"'none'\", \"'allow-duplicates'\" or \"*\"",
            ),
            Takes::Urls => item.report(
                problems,
                "must be an absolute path or an https:// URL, without blanks, `;` and `,`",
            ),
            _ => item.report(problems, "must be the name of an endpoint in Reporting-Endpoints"),
        }
    }
    whole
}

/// Trusted Types §4.2.
fn is_policy_name(text: &str) -> bool {
    let character = |b: u8| b.is_ascii_alphanumeric() || b"-#=_/@.%".contains(&b);
    let name = !text.is_empty() && text.bytes().all(character);
    name || ["'none'", "'allow-duplicates'", "*"].contains(&text)
}

fn is_report_url(text: &str) -> bool {
    let character = |b: u8| b.is_ascii_graphic() && !b";,'\"".contains(&b);
    let absolute = ["/", "https://", "http://"];
    absolute.iter().any(|start| text.starts_with(start)) && text.bytes().all(character)
}

fn is_endpoint(text: &str) -> bool {
    let character = |b: u8| b.is_ascii_alphanumeric() || b"_-.*".contains(&b);
    !text.is_empty() && text.bytes().all(character)
}
