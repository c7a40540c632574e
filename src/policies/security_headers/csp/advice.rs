//! What is valid and leaves more open than it seems.

use super::Directive;
use super::directive::Takes;
use super::source::Source;
use crate::security_headers::structured::Disposition;

/// Notes on a policy as a whole.
pub(super) fn on(directives: &[Directive<'_>], disposition: Disposition) -> Vec<String> {
    let mut notes = Vec::new();
    let find = |name: &str| directives.iter().find(|each| each.name == name);
    let fallback = find("default-src");
    for (name, danger) in [
        ("script-src", "scripts may come from anywhere"),
        (
            "object-src",
            "plugins and embedded content may come from anywhere",
        ),
    ] {
        if find(name).or(fallback).is_none() {
            notes.push(format!("neither \"{name}\" nor \"default-src\": {danger}"));
        }
    }
    // What `default-src` does not stand in for.
    for (name, danger) in [
        (
            "base-uri",
            "an injected <base> can redirect every relative address",
        ),
        (
            "form-action",
            "an injected form can send what is typed anywhere",
        ),
        ("frame-ancestors", "any site may frame the page"),
    ] {
        if find(name).is_none() {
            notes.push(format!("no \"{name}\": {danger}"));
        }
    }
    let replaced = find("script-src").is_some();
    let runs = |each: &&Directive<'_>| {
        each.takes == Takes::Scripts && !(replaced && each.name == "default-src")
    };
    for directive in directives.iter().filter(runs) {
        on_scripts(directive, &mut notes);
    }
    let objects = find("object-src").or(fallback);
    if let Some(directive) = objects.filter(|each| has(each, |s| *s == Source::Anything)) {
        let name = directive.name;
        notes.push(format!(
            "\"{name}\" lets embedded content come from anywhere"
        ));
    }
    let heard = ["report-to", "report-uri"]
        .iter()
        .any(|name| find(name).is_some());
    if disposition == Disposition::Report && !heard {
        notes.push("neither \"report-to\" nor \"report-uri\": nobody hears the reports".to_owned());
    }
    notes
}

fn on_scripts(directive: &Directive<'_>, notes: &mut Vec<String>) {
    let name = directive.name;
    let keyword = |wanted: &'static str| {
        has(
            directive,
            |source| matches!(source, Source::Inline(word) | Source::Script(word) if *word == wanted),
        )
    };
    let hashed = has(directive, |source| *source == Source::Hash);
    let dynamic = keyword("'strict-dynamic'");
    if dynamic && !hashed {
        notes.push(format!(
            "\"{name}\" has 'strict-dynamic' and no hash: no script runs, since places do not count beside it"
        ));
    }
    // A browser that knows hashes ignores 'unsafe-inline' beside one, and places beside 'strict-dynamic'.
    if keyword("'unsafe-inline'") && !hashed && !dynamic {
        notes.push(format!(
            "\"{name}\" has 'unsafe-inline': injected scripts run; write the hashes of your inline scripts in its place"
        ));
    }
    if keyword("'unsafe-eval'") {
        notes.push(format!(
            "\"{name}\" has 'unsafe-eval': text can become code"
        ));
    }
    if !dynamic && has(directive, |source| *source == Source::Anything) {
        notes.push(format!("\"{name}\" lets scripts come from anywhere"));
    }
}

fn has(directive: &Directive<'_>, wanted: impl Fn(&Source) -> bool) -> bool {
    directive.sources.iter().any(wanted)
}
