//! One request under two documents, and what differs.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::memory_host::MemoryHost;
use portcullis_cases::wire::{Request, Response};
use portcullis_cases::{Outcome, Upstream, judge};

/// A document with what it remembers of requests before.
pub(crate) struct Side {
    pub(crate) engine: Rc<Engine>,
    pub(crate) host: MemoryHost,
}

/// What a document makes of a request.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) route: Option<String>,
    pub(crate) verdict: Verdict,
    /// Of a refusal, with its reason and its rule.
    pub(crate) code: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) rule: Option<String>,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Denied,
    /// By the filter, without refusing.
    Answered,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Answered => "answered",
        }
    }
}

impl Side {
    /// # Errors
    /// If it cannot be judged.
    pub(crate) fn judge(
        &self,
        request: &Request,
        upstream: &Response,
    ) -> Result<Judgement, String> {
        let (mut route, mut verdict) = (None, Verdict::Allowed);
        let (mut code, mut reason, mut rule) = (None, None, None);
        let outcome = judge::exchange(&self.engine, request, upstream, &self.host, |stream| {
            let outcome = stream.outcome();
            route = outcome.route_name.map(str::to_owned);
            if let Some(why) = outcome.record.refusal {
                verdict = Verdict::Denied;
                (code, reason) = (Some(why.code.name), Some(why.name));
                let detail = outcome.record.detail.as_deref();
                rule = detail.and_then(|detail| Some(detail.rule()?.to_owned()));
            } else if outcome.record.responded_by.is_some() {
                verdict = Verdict::Answered;
            }
        })?;
        Ok(Judgement {
            route,
            verdict,
            code,
            reason,
            rule,
            outcome,
        })
    }
}

impl Judgement {
    pub(crate) fn status(&self) -> u16 {
        self.outcome.response.status
    }

    /// In a few words.
    pub(crate) fn shown(&self) -> String {
        let mut shown = format!("{} {}", self.verdict.name(), self.status());
        if let (Some(code), Some(reason)) = (self.code, self.reason) {
            shown += &format!(" {code} ({reason})");
        }
        shown
    }
}

/// All that differs, each in words that are the same for all requests that it is the same for.
pub(crate) fn differences(old: &Judgement, new: &Judgement) -> Vec<String> {
    let mut all = Vec::new();
    if old.route != new.route {
        let name = |route: &Option<String>| route.clone().unwrap_or_else(|| "none".to_owned());
        all.push(format!(
            "route {} -> {}",
            name(&old.route),
            name(&new.route)
        ));
    }
    let is_same = (old.verdict, old.status(), old.code, old.reason)
        == (new.verdict, new.status(), new.code, new.reason);
    if !is_same {
        let rule = new.rule.as_ref().or(old.rule.as_ref());
        let rule = rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
        all.push(format!("{} -> {}{rule}", old.shown(), new.shown()));
    }
    if let (Upstream::Whole(before), Upstream::Whole(after)) =
        (&old.outcome.upstream, &new.outcome.upstream)
    {
        if before.path != after.path {
            all.push("the path to the upstream".to_owned());
        }
        let lower = |request: &Request| {
            let fields = request.headers.iter();
            let text = |(name, value): &(Vec<u8>, Vec<u8>)| {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                (name, value.clone())
            };
            fields.map(text).collect::<Vec<_>>()
        };
        fields("to the upstream", &lower(before), &lower(after), &mut all);
    }
    // What a refusal says differs where the refusals do.
    if is_same {
        let (before, after) = (&old.outcome.response, &new.outcome.response);
        fields("to the client", &before.headers, &after.headers, &mut all);
        if before.body != after.body {
            all.push("the body to the client".to_owned());
        }
    }
    all
}

/// Header fields by name: values may be somebody's.
fn fields(
    whither: &str,
    old: &[(String, Vec<u8>)],
    new: &[(String, Vec<u8>)],
    all: &mut Vec<String>,
) {
    let mut names: Vec<&String> = old.iter().chain(new).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |fields: &[(String, Vec<u8>)]| -> Vec<Vec<u8>> {
            let fields = fields.iter().filter(|(each, _)| each == name);
            fields.map(|(_, value)| value.clone()).collect()
        };
        match (of(old), of(new)) {
            (before, after) if before == after => {}
            (before, _) if before.is_empty() => all.push(format!("header {whither}: {name} added")),
            (_, after) if after.is_empty() => all.push(format!("header {whither}: {name} removed")),
            _ => all.push(format!("header {whither}: {name} changed")),
        }
    }
}
