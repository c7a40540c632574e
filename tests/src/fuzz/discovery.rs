//! Discovery documents.

use std::fmt;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::policy::jwt::{FetchRequest, FetchTarget, Next, read_discovery_document};
use regex::Regex;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use super::{NOW, bearer, judge};
use crate::still::still;
use crate::tokens::{self, SigningKey};

const ISSUER: &str = "https://id.example.com/realms/corp";
const GOOD_URI: &str = "https://id.example.com/realms/corp/keys";

thread_local! {
    static WORLD: World = World::new();
}

struct World {
    document: Vec<u8>,
    key_set: Vec<u8>,
    authorization: String,
    uri: Regex,
}

/// Whatever stands at the well-known address, it is believed only if a reader that has nothing in
/// common with the filter's finds exactly the configured issuer in it and one plain address of
/// keys, and no member twice; keys are then asked for on the issuer's host over TLS and nowhere
/// else. What is not believed takes away neither keys nor the address that was known before.
///
/// # Panics
/// When that does not hold.
pub fn discovery(body: &[u8]) -> bool {
    WORLD.with(|world| {
        let read = read_discovery_document(body, ISSUER).map(|uri| uri.to_string());
        let plain = world.plainly(body);
        assert_eq!(read.as_ref().ok(), plain.as_ref(), "{read:?}");
        let allowed = plain.filter(|uri| world.is_of_issuer(uri));
        world.arrives_first(body, allowed.as_deref());
        world.arrives_later(body, allowed.as_deref());
        allowed.is_some()
    })
}

impl World {
    fn new() -> Self {
        let document = json!({
            "version": 1,
            "providers": { "corp": {
                "issuer": ISSUER, "audiences": "any",
                "jwks": { "discovery": { "cluster": "idp" } },
            } },
            "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
        });
        let token =
            json!({ "key": "ed25519", "claims": { "iss": ISSUER, "aud": "a", "exp": NOW + 60 } });
        let key = SigningKey::named("ed25519").jwk();
        // RFC 3986: a host, perhaps a port; then path and query of what may stand there.
        let uri = concat!(
            r"^(?<scheme>https?)://(?:(?<name>[A-Za-z0-9._~-]+)|\[(?<literal>[0-9A-Fa-f:.]+)\])",
            r"(?::(?<port>[0-9]+))?(?<slash>/?)",
            r"(?<rest>(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)$",
        );
        Self {
            document: document.to_string().into_bytes(),
            key_set: json!({ "keys": [key] }).to_string().into_bytes(),
            authorization: format!("Bearer {}", tokens::mint(&token, NOW)),
            uri: Regex::new(uri).expect("the expression is right"),
        }
    }

    /// Where the keys are by a document, as a plain reader finds it.
    fn plainly(&self, body: &[u8]) -> Option<String> {
        if body.len() > FetchTarget::Discovery.longest() {
            return None;
        }
        let Plain { members, deep, .. } = serde_json::from_slice(body).ok()?;
        let text = |name: &str| {
            let mut found = members.iter().filter(|(key, _)| key == name);
            found.next().and_then(|(_, text)| text.as_deref())
        };
        let is_plain = deep <= 16 && text("issuer") == Some(ISSUER);
        let written = text("jwks_uri").filter(|uri| is_plain && uri.len() <= 2048)?;
        let parts = self.uri.captures(written)?;
        let part = |name: &str| parts.name(name).map(|part| part.as_str());
        let literal = part("literal").is_none_or(|text| text.parse::<Ipv6Addr>().is_ok());
        let port = part("port").is_none_or(|text| text.parse::<u16>().is_ok_and(|port| port > 0));
        let (slash, rest) = (part("slash")?, part("rest")?);
        let is_path = !slash.is_empty() || rest.is_empty() || rest.starts_with('?');
        (literal && port && is_path).then(|| {
            let head = &written[..written.len() - slash.len() - rest.len()];
            format!("{head}/{rest}")
        })
    }

    fn is_of_issuer(&self, uri: &str) -> bool {
        let parts = self.uri.captures(uri).expect("an address");
        let name = parts.name("name").map(|name| name.as_str());
        let port = parts
            .name("port")
            .map_or(443, |port| port.as_str().parse::<u16>().expect("a port"));
        &parts["scheme"] == "https"
            && name.is_some_and(|name| name.eq_ignore_ascii_case("id.example.com"))
            && port == 443
    }

    fn engine(&self) -> Rc<Engine> {
        Rc::new(Engine::compile(&self.document).expect("the document is right"))
    }

    /// To a worker that knows nothing yet.
    fn arrives_first(&self, body: &[u8], uri: Option<&str>) {
        let (engine, now) = (self.engine(), Duration::from_secs(NOW));
        let keys = &engine.remote_keys()[0];
        let question = keys.first_request(now);
        assert_eq!(question.subject, FetchTarget::Discovery);
        let settled = keys.on_response(now, FetchTarget::Discovery, Ok((body, None)));
        assert_eq!(settled.outcome.is_ok(), uri.is_some());
        match (settled.next, uri) {
            (Next::Ask(question), Some(uri)) => assert_asks(&question, uri),
            (Next::Wait(pause), None) => assert!(!pause.is_zero() && settled.moved.is_none()),
            (next, _) => panic!("{next:?}"),
        }
    }

    /// To a worker that has keys, and knows where they are.
    fn arrives_later(&self, body: &[u8], uri: Option<&str>) {
        let (first, second) = (self.engine(), self.engine());
        let (keys, others) = (&first.remote_keys()[0], &second.remote_keys()[0]);
        let (now, later) = (Duration::from_secs(NOW), Duration::from_secs(NOW + 1));
        let host = still(NOW);
        let passes = |engine: &Rc<Engine>| {
            let headers = bearer(b"/", self.authorization.as_bytes());
            judge(engine, headers, &host).passes()
        };
        let good = json!({ "issuer": ISSUER, "jwks_uri": GOOD_URI }).to_string();
        let found = keys.on_response(now, FetchTarget::Discovery, Ok((good.as_bytes(), None)));
        assert!(found.outcome.is_ok());
        let loaded = keys.on_response(now, FetchTarget::KeySet, Ok((&self.key_set, None)));
        assert!(loaded.outcome.is_ok() && passes(&first));

        let settled = keys.on_response(later, FetchTarget::Discovery, Ok((body, None)));
        assert_eq!(settled.outcome.is_ok(), uri.is_some(), "{settled:?}");
        let asked = uri.unwrap_or(GOOD_URI);
        match settled.next {
            Next::Ask(question) => assert_asks(&question, asked),
            next => panic!("{next:?}"),
        }
        let moved = settled.moved.map(|uri| uri.to_string());
        assert_eq!(moved.as_deref(), uri.filter(|uri| *uri != GOOD_URI));
        assert!(passes(&first), "a document harms a good key");

        // Other workers learn from it where the keys are.
        match keys
            .on_response(later, FetchTarget::KeySet, Ok((&self.key_set, None)))
            .next
        {
            Next::Share(record) => assert!(others.adopt(&record, later)),
            next => panic!("{next:?}"),
        }
        assert_asks(&others.first_request(later), asked);
        assert!(passes(&second));
    }
}

fn assert_asks(question: &FetchRequest, uri: &str) {
    let FetchRequest {
        subject,
        cluster,
        uri: asked,
        ..
    } = question;
    assert_eq!((*subject, &**cluster), (FetchTarget::KeySet, "idp"));
    assert_eq!(asked.to_string(), uri);
    // What becomes of it on the wire: a request line and `:authority`.
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    assert!(asked.path.starts_with('/') && is_plain(&asked.path));
    assert!(!asked.path.contains('#') && is_plain(&asked.authority));
    assert!(!asked.authority.contains(['/', '@', '?', '#', '\\']));
}

/// JSON as far as a discovery document is read. What has a member twice is not read at all.
struct Plain {
    /// The members of an object, with those values that are strings.
    members: Vec<(String, Option<String>)>,
    text: Option<String>,
    /// How many arrays and objects stand in one another.
    deep: usize,
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

fn other<E>(text: Option<String>) -> Result<Plain, E> {
    Ok(Plain {
        members: Vec::new(),
        text,
        deep: 0,
    })
}

impl<'de> Visitor<'de> for Reader {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
        other(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
        other(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
        other(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
        other(None)
    }
    fn visit_unit<E>(self) -> Result<Plain, E> {
        other(None)
    }
    fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
        other(Some(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let mut deep = 0;
        while let Some(item) = items.next_element::<Plain>()? {
            deep = deep.max(item.deep);
        }
        Ok(Plain {
            members: Vec::new(),
            text: None,
            deep: deep + 1,
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Plain, A::Error> {
        let (mut members, mut deep) = (Vec::<(String, Option<String>)>::new(), 0);
        while let Some((name, value)) = entries.next_entry::<String, Plain>()? {
            if members.iter().any(|(other, _)| *other == name) {
                return Err(serde::de::Error::custom("a member stands there twice"));
            }
            deep = deep.max(value.deep);
            members.push((name, value.text));
        }
        Ok(Plain {
            members,
            text: None,
            deep: deep + 1,
        })
    }
}
