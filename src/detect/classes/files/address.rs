//! A text that is an address: where it leads, and whether it is written as people write addresses.

use crate::Evidence;
use crate::classes::around::{evidence, first, from};
use crate::list::{List, Prefixes};
use crate::spot::{is_space, is_word};

const INSIDE: &str = "address inside of the network";

/// Judges a text, in lower case, as an address.
pub(super) fn judge(text: &[u8]) -> Option<Evidence> {
    let text = text.strip_prefix(b"url:").unwrap_or(text);
    if let Some(rest) = text.strip_prefix(b"\\\\") {
        let host = rest
            .iter()
            .take_while(|byte| is_word(**byte) || b".-@?".contains(byte))
            .count();
        let share = from(rest, host).starts_with(b"\\") && host > 0;
        return share.then_some(Evidence::new("share of another host", Evidence::LIKELY));
    }
    let scheme = first(text, 12)
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(byte))
        .count();
    let (scheme, rest) = text.split_at(scheme);
    let Some(rest) = rest.strip_prefix(b":") else {
        return unschemed(text);
    };
    if const {
        List::new(
            "gopher dict netdoc jar ldap ldaps tftp sftp smb rmi iiop corba nis dns svn imap ogg",
        )
    }
    .has(scheme)
        && rest.starts_with(b"/")
    {
        return evidence(
            "scheme that services do not call",
            match scheme {
                b"ldap" | b"ldaps" | b"sftp" | b"smb" | b"dns" | b"svn" | b"imap" => {
                    Evidence::LIKELY - 5
                }
                _ => Evidence::SURE,
            },
        );
    }
    if scheme == b"jar" {
        return evidence("scheme that services do not call", Evidence::LIKELY);
    }
    if scheme == b"data" {
        let page = const { Prefixes::new("text/plain text/html application/x- text/x- , ;base64") }
            .strip(rest);
        return page.map(|_| Evidence::new("page in an address", Evidence::LIKELY - 5));
    }
    if !const { List::new("http https ftp ftps ws wss") }.has(scheme) {
        return None;
    }
    let after = rest
        .strip_prefix(b"//")
        .or_else(|| rest.strip_prefix(b"\\\\"))?;
    let end = after
        .iter()
        .position(|byte| b"/?#\\".contains(byte) || is_space(*byte));
    let (authority, path) = after.split_at(end.unwrap_or(after.len()));
    let at = authority.iter().rposition(|byte| *byte == b'@');
    let host = from(authority, at.map_or(0, |at| at.saturating_add(1)));
    // `https://example.com?`: what was to follow becomes a query.
    if text.ends_with(b"?") && text.len() < 100 && !text.iter().any(|byte| is_space(*byte)) {
        return evidence("address with an open query", Evidence::LIKELY - 5);
    }
    weigh(host, path).and_then(|score| evidence(INSIDE, score))
}

/// An address without a scheme: of the network's own names only.
fn unschemed(text: &[u8]) -> Option<Evidence> {
    let end = text
        .iter()
        .position(|byte| *byte == b'/' || *byte == b':')?;
    let (host, rest) = text.split_at(end);
    let named = is_inside(host);
    let loopback = host == b"localhost" && rest.starts_with(b"/");
    match (named, loopback) {
        (true, _) => evidence(INSIDE, Evidence::LIKELY),
        (_, true) => evidence(INSIDE, Evidence::LIKELY - 5),
        _ => None,
    }
}

/// What a host weighs.
fn weigh(host: &[u8], path: &[u8]) -> Option<u16> {
    if let Some(rest) = host.strip_prefix(b"[") {
        // Loopback, and an address of the other kind inside.
        let inside = const {
            Prefixes::new("::1] ::] ::ffff: 0:0:0:0: 0000: ::ffff:7f fe80: fd00: ::7f ::127 ::169")
        }
        .strip(rest);
        return inside.map(|_| Evidence::LIKELY);
    }
    let port = host.iter().position(|byte| *byte == b':');
    let host = first(host, port.unwrap_or(host.len()));
    let host = host.strip_suffix(b".").unwrap_or(host);
    if is_inside(host) {
        return Some(Evidence::LIKELY);
    }
    let number = odd(host);
    if number.is_some_and(|score| score >= Evidence::LIKELY) {
        return number;
    }
    if host == b"localhost" || host.starts_with(b"127.") || host == b"0.0.0.0" {
        // Where clients under development wait for answers.
        let secret = const { Prefixes::new("/admin /server-status /actuator /.env /etc /console /manager /debug /phpmyadmin /solr /_") }.strip(path);
        return Some(if secret.is_some() {
            Evidence::LIKELY
        } else {
            Evidence::SUSPECT
        });
    }
    number
}

/// Names that only exist inside.
fn is_inside(host: &[u8]) -> bool {
    let endings = [
        &b".docker.internal"[..],
        b".svc.cluster.local",
        b".cluster.local",
        b"localtest.me",
        b".nip.io",
        b".sslip.io",
        b".xip.io",
        b".lvh.me",
        b".vcap.me",
        b".burpcollaborator.net",
        b".oastify.com",
        b".localdomain",
        b"kubernetes.default",
        b"kubernetes.default.svc",
        b"metadata.google.internal",
    ];
    endings.into_iter().any(|ending| host.ends_with(ending))
}

/// An address of a host in numbers that people do not write: one number, octal or hexadecimal ones, other digits.
fn odd(host: &[u8]) -> Option<u16> {
    let mut parts = 0;
    let mut odd = false;
    for part in host.split(|byte| *byte == b'.') {
        parts += 1;
        let hexadecimal = part.strip_prefix(b"0x");
        let digits = part.iter().all(u8::is_ascii_digit);
        let octal = digits && part.len() > 1 && part.starts_with(b"0");
        match hexadecimal {
            Some(rest) if !rest.is_empty() && rest.iter().all(u8::is_ascii_hexdigit) => odd = true,
            _ if digits && !part.is_empty() => odd |= octal || part.len() > 3,
            _ => return wide(host),
        }
    }
    match (odd || parts < 4, parts) {
        (true, _) => Some(Evidence::LIKELY),
        (false, 4) => private(host),
        _ => None,
    }
}

/// Digits and dots that only look like ones.
fn wide(host: &[u8]) -> Option<u16> {
    let dots = [
        &b"\xe3\x80\x82"[..],
        b"\xef\xbc\x8e",
        b"\xef\xbd\xa1",
        b"\xe2\x91",
        b"\xe2\x93\xaa",
    ];
    let found = dots
        .into_iter()
        .any(|dot| host.windows(dot.len()).any(|window| window == dot));
    found.then_some(Evidence::LIKELY)
}

/// Networks that are not routed, and other addresses without a name.
fn private(host: &[u8]) -> Option<u16> {
    let private = const { Prefixes::new("10. 192.168. 172.16. 172.17. 172.18. 172.31. 169.254.") }
        .strip(host);
    Some(if private.is_some() {
        Evidence::SUSPECT
    } else {
        Evidence::HINT
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_what_calls_them_reads_them() {
        let score = |text: &str| judge(text.as_bytes()).map_or(0, |evidence| evidence.score);
        for likely in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/x",
            "http://[::1]/",
            "http://a@127.1/",
            "gopher://x/_",
            "jar:http://x!/y",
            "http://x.nip.io",
            "localhost/",
            "https://x.example?",
            "\\\\host\\share",
            "http://127.0.0.1/admin",
            "data:text/html,x",
        ] {
            assert!(score(likely) >= 50, "{likely}");
        }
        for harmless in [
            "http://example.com/a?b=c",
            "https://10.0.0.1:8080/x",
            "http://localhost:3000/callback",
            "mailto:a@b.c",
            "12:30",
            "data:image/png;base64,aa",
            "a/b",
            "",
            "http:",
            "host:80",
        ] {
            assert!(score(harmless) < 50, "{harmless}");
        }
    }
}
