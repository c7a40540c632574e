//! `portcullis token`: tokens to try a document with, and what a token says.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use serde_json::{Map, Value, json};

use super::inspect::Document;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a new private key for tokens of one's own, in PEM
    Key,
    /// Print the JSON Web Key Set of a private key, for `explain --jwks` or `jwks.inline`
    Jwks(KeyFile),
    /// Print a token, signed with ES256
    New(NewToken),
    /// Say what a token says, and with --document what a document makes of it
    ///
    /// Without --document nothing is verified. Exit status with it: 0 a provider takes the token; 1 none does.
    Inspect(Inspected),
}

#[derive(Debug, Args)]
pub(crate) struct KeyFile {
    /// A private key of the curve P-256 in PEM, as `portcullis token key` prints it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The name of the key
    #[arg(long, default_value = "local")]
    kid: String,
}

#[derive(Debug, Args)]
pub(crate) struct NewToken {
    #[command(flatten)]
    key: KeyFile,
    /// `iss`: the `issuer` of the provider
    #[arg(long)]
    issuer: String,
    /// `aud`: one of the `audiences` of the provider; several times for a list
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// `sub`
    #[arg(long, default_value = "alice")]
    subject: String,
    /// `scope`, parted by blanks
    #[arg(long)]
    scope: Option<String>,
    /// Another claim: NAME=VALUE, JSON or a text
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// For how many seconds it is good; below 0 it has expired
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 3600,
        allow_negative_numbers = true
    )]
    lifetime: i64,
    /// With the signature of something else, so that it must be refused
    #[arg(long)]
    forged: bool,
    /// `typ` of the header
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspected {
    /// The token, with or without `Bearer `
    token: String,
    #[command(flatten)]
    under: Document,
}

impl TokenCommand {
    /// What is printed, and the exit status.
    ///
    /// # Errors
    /// What is wrong with a word, a file, or the token.
    pub(crate) fn run(&self) -> Result<(String, u8), String> {
        let text = match self {
            Self::Key => new_key()?,
            Self::Jwks(file) => file.jwks()?.to_string() + "\n",
            Self::New(token) => token.make(now())?,
            Self::Inspect(inspected) => return inspected.run(),
        };
        Ok((text, 0))
    }
}

fn now() -> i64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "tokens are for the clock of the proxy that they are tried on"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

fn new_key() -> Result<String, String> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| format!("no random bytes: {error}"))?;
    let key = SigningKey::from_slice(&random).map_err(|error| error.to_string())?;
    let pem = key.to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|error| error.to_string())?;
    Ok(pem.to_string())
}

impl KeyFile {
    pub(crate) fn named(key: &Path, kid: &str) -> Self {
        Self {
            key: key.to_owned(),
            kid: kid.to_owned(),
        }
    }

    fn read(&self) -> Result<SigningKey, String> {
        let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", self.key.display());
        let pem = fs::read_to_string(&self.key).map_err(|error| told(&error))?;
        SigningKey::from_pkcs8_pem(&pem).map_err(|_| {
            told(&"is no private key of the curve P-256 in PEM (PKCS #8), as `portcullis token key` prints one")
        })
    }

    pub(crate) fn jwks(&self) -> Result<Value, String> {
        let key = self.read()?;
        let point = key.verifying_key().to_sec1_point(false);
        let half = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
        let (x, y) = (point.x().map(|x| &x[..]), point.y().map(|y| &y[..]));
        Ok(json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": half(x), "y": half(y),
        }] }))
    }
}

impl NewToken {
    fn make(&self, now: i64) -> Result<String, String> {
        let key = self.key.read()?;
        let mut header = Map::new();
        header.insert("alg".to_owned(), "ES256".into());
        header.insert("kid".to_owned(), self.key.kid.as_str().into());
        if let Some(kind) = &self.kind {
            header.insert("typ".to_owned(), kind.as_str().into());
        }
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), self.issuer.as_str().into());
        match self.audience.as_slice() {
            [] => {}
            [one] => {
                claims.insert("aud".to_owned(), one.as_str().into());
            }
            several => {
                claims.insert("aud".to_owned(), several.into());
            }
        }
        claims.insert("sub".to_owned(), self.subject.as_str().into());
        if let Some(scope) = &self.scope {
            claims.insert("scope".to_owned(), scope.as_str().into());
        }
        let issued = now.min(now.saturating_add(self.lifetime).saturating_sub(3600));
        let issued = if self.lifetime < 0 { issued } else { now };
        claims.insert("iat".to_owned(), issued.into());
        claims.insert("exp".to_owned(), now.saturating_add(self.lifetime).into());
        for given in &self.claims {
            let (name, value) = given
                .split_once('=')
                .ok_or_else(|| format!("--claim takes NAME=VALUE, not {given:?}"))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            claims.insert(name.to_owned(), value);
        }
        let part = |value: String| URL_SAFE_NO_PAD.encode(value);
        let claims = Value::Object(claims).to_string();
        let signed = format!(
            "{}.{}",
            part(Value::Object(header).to_string()),
            part(claims)
        );
        let other = format!("{signed}.");
        let signature: Signature = match self.forged {
            true => key.sign(other.as_bytes()),
            false => key.sign(signed.as_bytes()),
        };
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        Ok(format!("{signed}.{signature}\n"))
    }
}

impl Inspected {
    fn run(&self) -> Result<(String, u8), String> {
        let token = self.token.trim();
        let token = match token.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => {
                token.get(7..).unwrap_or(token).trim()
            }
            _ => token,
        };
        let said = inspect(token, now())?;
        Ok(match self.under.judge(token)? {
            None => (
                said + "Nothing is verified here: --document says what a document makes of it.\n",
                0,
            ),
            Some((judged, taken)) => (format!("{said}\n{judged}"), u8::from(!taken)),
        })
    }
}

/// The header and the claims, and how its times stand to the clock.
fn inspect(token: &str, now: i64) -> Result<String, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(match parts.len() {
            5 => "it is encrypted (JWE, five parts): the filter takes signed tokens, of three".to_owned(),
            1 => "it is no JSON Web Token but one word: an opaque token is for `introspection`, an API key for `api_key`".to_owned(),
            many => format!("a JSON Web Token has three parts, and this has {many}"),
        });
    };
    let read = |what: &str, part: &str| -> Result<Value, String> {
        let bytes = URL_SAFE_NO_PAD.decode(part);
        let bytes = bytes.map_err(|_| format!("its {what} is not base64url without padding"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("its {what} is not JSON: {error}"))
    };
    let (header, claims) = (read("header", header)?, read("payload", claims)?);
    let mut notes = Vec::new();
    match header.get("alg").and_then(Value::as_str) {
        None => notes.push("`alg` is missing: it is refused".to_owned()),
        Some(alg) if alg.eq_ignore_ascii_case("none") => {
            notes.push("`alg` is none: it is refused".to_owned());
        }
        Some(_) if signature.is_empty() => {
            notes.push("it has no signature: it is refused".to_owned());
        }
        Some(_) => {}
    }
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    let now = now as f64;
    match time("exp") {
        None => notes.push(
            "`exp` is missing: it is refused unless `require_expiration` is false".to_owned(),
        ),
        Some(at) if at <= now => notes.push(format!("it expired {:.0} s ago", now - at)),
        Some(at) => notes.push(format!("it expires in {:.0} s", at - now)),
    }
    if let Some(at) = time("nbf").filter(|at| *at > now) {
        notes.push(format!("it is good only in {:.0} s (`nbf`)", at - now));
    }
    if let Some(at) = time("iat").filter(|at| *at > now) {
        notes.push(format!("it was issued {:.0} s from now (`iat`)", at - now));
    }
    for name in ["iss", "aud"] {
        if claims.get(name).is_none() {
            notes.push(format!("`{name}` is missing"));
        }
    }
    let shown = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    Ok(format!(
        "{}\n{}\n{}",
        shown(&header),
        shown(&claims),
        notes
            .iter()
            .map(|note| format!("- {note}\n"))
            .collect::<String>()
    ))
}
