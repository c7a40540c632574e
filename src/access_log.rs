//! One line of JSON for each finished exchange.
//!
//! Field names are those of OpenTelemetry's semantic conventions where it has one, and begin
//! with `portcullis.` where it has none.

use std::fmt::Write as _;
use std::time::Duration;

use crate::config::{Fields, Node, Problems};
use crate::headers::Headers;
use crate::metrics::Outcome;
use crate::stream::Stream;

/// `access_log: { sinks }`, ready to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessLog;

/// What only the proxy knows about a finished exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finished<'a> {
    /// The wall clock now.
    pub now: Duration,
    /// The request's fields as the proxy still has them: the only ones there are for a request
    /// that never reached the filter.
    pub headers: Option<&'a Headers>,
    /// The status that went to the client; none if none did.
    pub status: Option<u64>,
    /// The client as the proxy sees it, `address:port`.
    pub client: Option<&'a [u8]>,
}

impl AccessLog {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields: Fields<'_> = node.fields(problems)?;
        let sinks = fields.or("sinks", vec![()], problems, |node, problems| {
            node.list(problems, |item, problems| {
                item.choice(problems, &[("envoy_log", ())])
            })
        });
        fields.finish(problems);
        sinks.map(|_| Self)
    }

    /// The line, without its line break.
    pub fn line(self, stream: &Stream, finished: Finished<'_>) -> String {
        let headers = match finished.headers {
            Some(headers) if stream.headers().is_empty() => headers,
            _ => stream.headers(),
        };
        let mut line = Line::new();
        line.text("timestamp", rfc3339(finished.now).as_bytes());
        line.text("event.name", b"portcullis.access");
        line.header("http.request.method", headers, ":method");
        line.header("url.scheme", headers, ":scheme");
        let authority = headers.all(":authority").next();
        line.optional("server.address", authority.map(without_port));
        // Queries carry tokens and personal data; the path alone says where.
        let target = headers.all(":path").next();
        line.optional(
            "url.path",
            target.map(|path| path.split(|b| *b == b'?').next().unwrap_or(path)),
        );
        line.number("http.response.status_code", finished.status);
        line.optional("client.address", finished.client.map(without_port));
        line.header("user_agent.original", headers, "user-agent");
        line.header("http.request.header.x-request-id", headers, "x-request-id");
        line.optional("portcullis.route", stream.route_name().map(str::as_bytes));
        self.verdict(&mut line, stream);
        if let Some(identity) = &stream.facts().identity {
            line.optional("user.id", identity.subject().map(str::as_bytes));
            line.optional("portcullis.issuer", identity.issuer().map(str::as_bytes));
            line.text("portcullis.provider", identity.provider.as_bytes());
        }
        let elapsed = stream
            .started()
            .and_then(|started| finished.now.checked_sub(started));
        let micros = elapsed.map(|elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
        line.number("portcullis.duration_us", micros);
        line.finish()
    }

    fn verdict(self, line: &mut Line, stream: &Stream) {
        let record = stream.record();
        let outcome = match (record.refusal, stream.started()) {
            (Some(_), _) => Outcome::Denied.name(),
            (None, Some(_)) if record.answered_by.is_some() => Outcome::Answered.name(),
            // The client left, or the proxy answered, before all of it had come.
            (None, Some(_)) if stream.awaits_body() => "unfinished",
            (None, Some(_)) => Outcome::Allowed.name(),
            // Answered by the proxy or by a filter in front of this one.
            (None, None) => "not_judged",
        };
        line.text("portcullis.outcome", outcome.as_bytes());
        let policy = record.refused_by.or(record.answered_by);
        line.optional("portcullis.policy", policy.map(str::as_bytes));
        if let Some((code, reason)) = record.refusal {
            line.text("portcullis.code", code.name.as_bytes());
            line.text("portcullis.reason", reason.as_bytes());
        }
        if !record.shadow.is_empty() {
            line.open_list("portcullis.shadow");
            for shadow in &record.shadow {
                line.open_item();
                line.optional("policy", shadow.policy.map(str::as_bytes));
                line.text("code", shadow.code.name.as_bytes());
                line.text("reason", shadow.reason.as_bytes());
                line.close_item();
            }
            line.close_list();
        }
    }
}

/// A JSON object in the making; every value from outside is escaped and bounded.
struct Line {
    text: String,
}

impl Line {
    /// The longest value, in bytes before escaping; what is longer ends in `…`.
    const LONGEST_VALUE: usize = 512;

    fn new() -> Self {
        let mut text = String::with_capacity(512);
        text.push('{');
        Self { text }
    }

    fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn key(&mut self, name: &str) {
        if !self.text.ends_with(['{', '[']) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        self.text.push('"');
        let (shown, cut) = match value.split_at_checked(Self::LONGEST_VALUE) {
            Some((shown, rest)) => (shown, !rest.is_empty()),
            None => (value, false),
        };
        escape(&mut self.text, shown);
        if cut {
            self.text.push('…');
        }
        self.text.push('"');
    }

    fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn header(&mut self, name: &str, headers: &Headers, field: &str) {
        self.optional(name, headers.all(field).next());
    }

    fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(name);
            self.write(format_args!("{value}"));
        }
    }

    fn open_list(&mut self, name: &str) {
        self.key(name);
        self.text.push('[');
    }

    fn close_list(&mut self) {
        self.text.push(']');
    }

    fn open_item(&mut self) {
        let separator = if self.text.ends_with('[') { "{" } else { ",{" };
        self.text.push_str(separator);
    }

    fn close_item(&mut self) {
        self.text.push('}');
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = self.text.write_fmt(arguments);
    }
}

/// RFC 8259 §7, with every control character and line separator escaped, so that no value can
/// end its line in any reader's eyes; bytes that are not UTF-8 appear as `\xNN`.
fn escape(out: &mut String, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\\\x{byte:02x}");
        }
    }
}

fn without_port(address: &[u8]) -> &[u8] {
    let colon = address.iter().rposition(|b| *b == b':');
    let host = match colon {
        Some(at) if !address.ends_with(b"]") => address.get(..at).unwrap_or(address),
        _ => address,
    };
    host.strip_prefix(b"[")
        .and_then(|host| host.strip_suffix(b"]"))
        .unwrap_or(host)
}

/// Days since the epoch to a date, after Howard Hinnant's `civil_from_days`.
fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let millis = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_305_599_999, "2026-11-21T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn no_value_leaves_its_place() {
        let mut out = String::new();
        escape(
            &mut out,
            b"a\"b\\c\r\n\x1b[0m\xff\xc2\x85\xe2\x80\xa8\xc3\xa9",
        );
        assert_eq!(out, r#"a\"b\\c\u000d\u000a\u001b[0m\\xff\u0085\u2028é"#);
    }

    #[test]
    fn long_values_are_cut() {
        let mut line = Line::new();
        line.text("a", &[b'x'; 600]);
        let line = line.finish();
        assert!(line.ends_with("x…\"}") && line.len() < 530);
    }

    #[test]
    fn addresses_lose_their_port() {
        assert_eq!(without_port(b"127.0.0.1:80"), b"127.0.0.1");
        assert_eq!(without_port(b"[::1]:80"), b"::1");
        assert_eq!(without_port(b"[::1]"), b"::1");
        assert_eq!(without_port(b"x"), b"x");
    }
}
