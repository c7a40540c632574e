//! Connections that leave HTTP: RFC 9110 §7.8.

use crate::headers::Headers;

/// Whether what follows the head is no body but bytes of another protocol. Envoy turns the
/// extended CONNECT of HTTP/2 and HTTP/3 into an `Upgrade` before filters see it.
pub fn is_upgrade(headers: &Headers) -> bool {
    let listed = |name: &str, word: &[u8]| {
        let mut words = headers
            .all(name)
            .flat_map(|value| value.split(|b| *b == b','));
        words.any(|each| each.trim_ascii().eq_ignore_ascii_case(word))
    };
    let is_connect = headers.all(":method").any(|method| method == b"CONNECT");
    is_connect || (listed("connection", b"upgrade") && headers.all("upgrade").next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_are_what_envoy_takes_for_them() {
        for (fields, expected) in [
            (
                &[("connection", "Upgrade"), ("upgrade", "websocket")][..],
                true,
            ),
            (
                &[("connection", "keep-alive, upgrade"), ("upgrade", "x")],
                true,
            ),
            (&[(":method", "CONNECT")], true),
            (
                &[("connection", "keep-alive"), ("upgrade", "websocket")],
                false,
            ),
            (&[("connection", "upgrade")], false),
            (&[(":method", "connect")], false),
        ] {
            let mut headers = Headers::default();
            for (name, value) in fields {
                headers.push(name.as_bytes(), value.as_bytes());
            }
            assert_eq!(is_upgrade(&headers), expected, "{fields:?}");
        }
    }
}
