//! `portcullis token inspect --document`: what each provider of a document makes of a token, and each route that
//! asks for one. The engine says it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use portcullis::memory_host::MemoryHost;
use portcullis_cases::keys::{FoundKeys, Key, KeyRing as _, LOCAL};
use portcullis_cases::wire::{Request, Response};
use portcullis_cases::{Upstream, judge};
use serde_json::{Map, Value, json};

use super::check;
use super::explained;

#[derive(Debug, Args)]
pub(crate) struct Document {
    /// What this document's providers and routes make of the token, and why
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Which of several documents of the file, from 1 on
    #[arg(long, value_name = "NUMBER", requires = "document")]
    number: Option<usize>,
    /// The keys of a provider, in place of those that the proxy would fetch: NAME=FILE, a JSON Web Key Set
    #[arg(long, value_name = "PROVIDER=FILE", requires = "document")]
    jwks: Vec<String>,
    /// An environment variable of the VM: NAME=VALUE
    #[arg(long = "env", value_name = "NAME=VALUE", requires = "document")]
    variables: Vec<String>,
}

/// Fields of a provider that say where its tokens stand. Here they stand where most do.
const PLACES: [&str; 3] = ["from_headers", "from_params", "from_cookies"];

/// What the engine makes of the token.
struct Tried {
    passes: bool,
    lines: Vec<String>,
}

impl Document {
    /// What the document makes of the token, as text, and whether a provider takes it; none if there is no document.
    ///
    /// # Errors
    /// What is wrong with a word or the document.
    pub(crate) fn judge(&self, token: &str) -> Result<Option<(String, bool)>, String> {
        let Some(path) = &self.document else {
            return Ok(None);
        };
        let document = check::one_document(path, self.number)?;
        let mut given = BTreeMap::new();
        for words in &self.jwks {
            let (name, file) = words
                .split_once('=')
                .ok_or_else(|| format!("--jwks takes PROVIDER=FILE, not {words:?}"))?;
            let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let keys: Value =
                serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
            given.insert(name, keys);
        }
        let providers = document.get("providers").and_then(Value::as_object);
        let Some(providers) = providers.filter(|providers| !providers.is_empty()) else {
            return Err(format!("{}: has no providers of tokens", path.display()));
        };
        if let Some(name) = given.keys().find(|name| !providers.contains_key(**name)) {
            return Err(format!("--jwks: no provider is named {name:?}"));
        }
        let inspection = Inspection {
            document: &document,
            given,
            key: FoundKeys::default(),
            host: self.host()?,
            token,
        };
        let mut out = String::new();
        let (mut taken, mut unknown) = (false, false);
        for name in providers.keys() {
            let (resigned, tried) = inspection.provider(name)?;
            taken |= tried.passes;
            unknown |= resigned;
            let but = match (resigned, tried.passes) {
                (true, true) => {
                    " if its signature is good, which is not checked: the keys are fetched"
                }
                (true, false) => ", whatever its signature",
                (false, _) => "",
            };
            let said = if tried.passes {
                "takes it"
            } else {
                "refuses it"
            };
            let _ = writeln!(out, "provider {name}: {said}{but}");
            for line in tried.lines {
                let _ = writeln!(out, "  {line}");
            }
        }
        inspection.routes(&mut out)?;
        if unknown {
            out += "--jwks PROVIDER=FILE gives keys, so that signatures are checked.\n";
        }
        Ok(Some((out, taken)))
    }

    fn host(&self) -> Result<MemoryHost, String> {
        let host = MemoryHost::of_system().with_client(judge::CLIENT);
        for words in &self.variables {
            let (name, value) = words
                .split_once('=')
                .ok_or_else(|| format!("--env takes NAME=VALUE, not {words:?}"))?;
            host.set_variable(name, value.as_bytes());
        }
        Ok(host)
    }
}

struct Inspection<'d> {
    document: &'d Value,
    given: BTreeMap<&'d str, Value>,
    key: FoundKeys,
    host: MemoryHost,
    token: &'d str,
}

impl Inspection<'_> {
    /// What a provider makes of the token, and whether that is of a token signed anew.
    fn provider(&self, name: &str) -> Result<(bool, Tried), String> {
        let (providers, resigned) = self.providers(|each| each == name)?;
        let block = json!({ "provider": name });
        let mut tried = self.tried(providers, resigned, "jwt", &block)?;
        let header = self.part(0);
        let alg = header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let provider = self.document.pointer(&format!("/providers/{name}"));
        let algorithms = provider.and_then(|provider| provider.get("algorithms")?.as_array());
        if resigned && algorithms.is_some_and(|list| !list.iter().any(|each| each == alg)) {
            tried.passes = false;
            let place = format!("/providers/{name}/algorithms");
            tried
                .lines
                .push(format!("its `alg`, {alg}, is not in {place}"));
        }
        Ok((resigned, tried))
    }

    /// What each route makes of it that asks for a token.
    fn routes(&self, out: &mut String) -> Result<(), String> {
        let empty = Vec::new();
        let routes = self.document.get("routes").and_then(Value::as_array);
        let defaults = self.document.get("defaults").unwrap_or(&Value::Null);
        for (index, route) in routes.unwrap_or(&empty).iter().enumerate() {
            let name = route
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let of_route = |policy: &str| {
                let own = route
                    .get(policy)
                    .map(|block| (format!("/routes/{index}/{policy}"), block));
                own.or_else(|| Some((format!("/defaults/{policy}"), defaults.get(policy)?)))
            };
            for policy in ["jwt", "credentials"] {
                let Some((place, block)) = of_route(policy).filter(|(_, block)| block.is_object())
                else {
                    continue;
                };
                let (providers, resigned) = self.providers(|_| true)?;
                let tried = self.tried(providers, resigned, policy, block)?;
                let said = if tried.passes {
                    "lets it pass"
                } else {
                    "refuses it"
                };
                let but = match (resigned, tried.passes) {
                    (true, true) => " if its signature is good",
                    (true, false) => ", whatever its signature",
                    (false, _) => "",
                };
                let _ = writeln!(out, "route {name}, {place}: {said}{but}");
                for line in tried.lines {
                    let _ = writeln!(out, "  {line}");
                }
            }
        }
        Ok(())
    }

    /// The providers with keys that are there, and whether one of those that are meant has none, so that the token is
    /// signed anew for all of them.
    fn providers(&self, is_meant: impl Fn(&str) -> bool) -> Result<(Value, bool), String> {
        let mut providers = self.document.get("providers").cloned().unwrap_or_default();
        let is_fetched = |provider: &Value| {
            let mut how = ["/jwks/remote", "/jwks/discovery"].iter();
            how.any(|how| provider.pointer(how).is_some())
        };
        let members = providers.as_object_mut();
        let Some(members) = members else {
            return Ok((providers, false));
        };
        let resigned = members.iter().any(|(name, provider)| {
            is_meant(name) && is_fetched(provider) && !self.given.contains_key(name.as_str())
        });
        for (name, provider) in members {
            let lacks_keys = is_fetched(provider) && !self.given.contains_key(name.as_str());
            let Value::Object(provider) = provider else {
                continue;
            };
            for place in PLACES {
                provider.remove(place);
            }
            if let Some(keys) = self.given.get(name.as_str()) {
                provider.insert("jwks".to_owned(), json!({ "inline": keys }));
            }
            // A token that is signed anew is to be judged by what it says.
            if lacks_keys || resigned {
                provider.insert(
                    "jwks".to_owned(),
                    json!({ "inline": { "keys": [self.jwk()?] } }),
                );
                provider.remove("algorithms");
                provider.remove("pem");
                provider.remove("hmac");
            }
        }
        Ok((providers, resigned))
    }

    fn local(&self) -> Result<Box<dyn Key>, String> {
        self.key.key(std::path::Path::new(""), LOCAL)
    }

    fn jwk(&self) -> Result<Value, String> {
        let mut jwk = self.local()?.jwk();
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".to_owned(), LOCAL.into());
            members.insert("alg".to_owned(), "ES256".into());
        }
        Ok(jwk)
    }

    /// A part of the token; an empty object if it is none.
    fn part(&self, index: usize) -> Map<String, Value> {
        let part = self.token.split('.').nth(index).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('='));
        let read = bytes
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.unwrap_or_default()
    }

    /// The same header and payload, but for algorithm and key, with a good signature.
    fn resigned(&self) -> Result<String, String> {
        let mut header = self.part(0);
        // What is wrong with these is told of the token as it is.
        let alg = header.get("alg").and_then(Value::as_str);
        if alg.is_none_or(|alg| alg.eq_ignore_ascii_case("none")) {
            return Ok(self.token.to_owned());
        }
        header.insert("alg".to_owned(), "ES256".into());
        header.insert("kid".to_owned(), LOCAL.into());
        let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        let payload = self.token.split('.').nth(1).unwrap_or_default();
        let signed = format!("{header}.{payload}");
        let signature = self.local()?.sign("ES256", signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What comes of the token under a document whose one route has that block.
    fn tried(
        &self,
        providers: Value,
        resigned: bool,
        policy: &str,
        block: &Value,
    ) -> Result<Tried, String> {
        let mut document = self.document.clone();
        let Value::Object(members) = &mut document else {
            return Err("the document is no object".to_owned());
        };
        members.insert("providers".to_owned(), providers);
        for section in [
            "defaults",
            "access_log",
            "security_events",
            "otlp_http",
            "rate_limits",
            "versions",
        ] {
            members.remove(section);
        }
        let mut route = json!({ "name": "inspected", "match": { "path": { "prefix": "/" } } });
        if let Value::Object(route) = &mut route {
            route.insert(policy.to_owned(), block.clone());
        }
        members.insert("routes".to_owned(), json!([route]));
        let engine = explained::engine(document.to_string().as_bytes()).map_err(|problems| {
            format!("the document cannot be asked about this token alone: {problems}")
        })?;
        let token = match resigned {
            true => self.resigned()?,
            false => self.token.to_owned(),
        };
        let mut request = Request {
            method: b"GET".to_vec(),
            path: b"/".to_vec(),
            authority: b"localhost".to_vec(),
            headers: vec![(
                b"authorization".to_vec(),
                format!("Bearer {token}").into_bytes(),
            )],
            ..Request::default()
        };
        explained::ask(&mut request);
        let upstream = Response {
            status: 200,
            ..Response::default()
        };
        let outcome = judge::exchange(&engine, &request, &upstream, &self.host, |_| ())?;
        let passes = !matches!(outcome.upstream, Upstream::Nothing);
        let told = explained::told(&outcome.response.headers);
        let lines = told
            .into_iter()
            .filter(|line| line.starts_with("refused_by="));
        Ok(Tried {
            passes,
            lines: match passes {
                true => Vec::new(),
                false => lines.collect(),
            },
        })
    }
}
