//! A real authorization server as a child process, npm's oidc-provider, with clients of it.

use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};

use crate::client;
use crate::tokens::repository;
use crate::wire::{Request, Response};

/// What it calls itself; it has its endpoints there.
pub const ISSUER: &str = "https://id.example.com";

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How many clients `shop-0`, `shop-1` and so on it has, who act for themselves.
pub const SHOPS: usize = 16;

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub struct OidcProvider {
    process: Mutex<Child>,
    addr: SocketAddr,
    /// What it has issued, known again after a restart.
    store: PathBuf,
}

/// For what a client makes a proof: RFC 9449 §4.2.
#[derive(Clone, Copy, Debug)]
pub struct ProofOf<'p> {
    /// A name for the key; it is made at the first use.
    pub key: &'p str,
    /// The method of the request.
    pub method: &'p str,
    /// Its URI.
    pub uri: &'p str,
    /// The token that goes with it.
    pub token: Option<&'p str>,
    /// What a server has asked for.
    pub nonce: Option<&'p str>,
}

impl OidcProvider {
    /// Starts one that has issued nothing.
    ///
    /// # Errors
    /// If there is none, or it does not start.
    pub fn start() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-oidc-{}-{count}.jsonl", std::process::id());
        let store = env::temp_dir().join(name);
        let _ = fs::remove_file(&store);
        let (process, addr) = launch(0, &store)?;
        Ok(Self {
            process: Mutex::new(process),
            addr,
            store,
        })
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the process at once, whatever it is doing.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn kill(&self) -> io::Result<()> {
        let mut process = self.process();
        process.kill()?;
        process.wait().map(|_| ())
    }

    /// Starts it again where it was, with what it has issued.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> io::Result<()> {
        (*self.process(), _) = launch(self.addr.port(), &self.store)?;
        Ok(())
    }

    /// Has the process stand still: connections come about, and nobody answers.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Has it go on, with what has come meanwhile.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    fn process(&self) -> MutexGuard<'_, Child> {
        self.process.lock().expect("nobody panics with the lock")
    }

    fn signal(&self, name: &str) -> io::Result<()> {
        let script = format!("kill -{name} {}", self.process().id());
        let status = Command::new("sh").args(["-c", &script]).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(script)),
        }
    }

    /// A token for a client that acts for itself, RFC 6749 §4.4, with header fields of the caller's choice; for a
    /// resource, RFC 8707: `urn:orders`, or `urn:orders:jwt` for one that is no opaque token.
    ///
    /// # Panics
    /// If it issues none.
    pub fn token(&self, client: &str, resource: &str, fields: &[(&str, &str)]) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret=s3cret&scope=orders.read&resource={resource}"
        );
        let response = self.post("/token", form, fields);
        let issued: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let token = issued["access_token"].as_str();
        token
            .unwrap_or_else(|| panic!("no token: {issued}"))
            .to_owned()
    }

    /// A token of the client `wallet`, which is bound to a key: RFC 9449 §5.
    ///
    /// # Panics
    /// If it issues none.
    pub fn token_for_key(&self, key: &str, resource: &str) -> String {
        let proof = self.proof(ProofOf {
            key,
            method: "POST",
            uri: &format!("{ISSUER}/token"),
            token: None,
            nonce: None,
        });
        self.token("wallet", resource, &[("dpop", &proof)])
    }

    /// A token of the client `mesh`, which is bound to the certificate of that file: RFC 8705 §3.
    ///
    /// # Panics
    /// If it issues none.
    pub fn token_for_certificate(&self, pem: &Path) -> String {
        let text = fs::read_to_string(pem).expect("the certificate is there");
        let lines = text.lines().filter(|line| !line.starts_with('-'));
        let der: String = lines.collect();
        self.token("mesh", "urn:orders", &[("x-client-certificate", &der)])
    }

    /// Takes a token back: RFC 7009.
    ///
    /// # Panics
    /// If that is refused.
    pub fn revoke(&self, client: &str, token: &str) {
        let form = format!("client_id={client}&client_secret=s3cret&token={token}");
        let response = self.post("/token/revocation", form, &[]);
        assert_eq!(response.status, 200, "{response:?}");
    }

    /// A proof that npm's dpop has made.
    ///
    /// # Panics
    /// If it makes none.
    pub fn proof(&self, of: ProofOf<'_>) -> String {
        let ProofOf {
            key,
            method,
            uri,
            token,
            nonce,
        } = of;
        let mut asked = json!({ "key": key, "method": method, "uri": uri });
        for (name, value) in [("token", token), ("nonce", nonce)] {
            if let Some(value) = value {
                asked[name] = value.into();
            }
        }
        let response = self.post("/client/proof", asked.to_string(), &[]);
        let proof = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 200, "{proof}");
        proof
    }

    fn post(&self, path: &str, body: String, fields: &[(&str, &str)]) -> Response {
        let form = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("connection", "close"),
        ];
        let fields = form.iter().chain(fields);
        let request = Request {
            method: b"POST".to_vec(),
            path: path.into(),
            authority: b"id.example.com".to_vec(),
            headers: fields
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            body: Some(vec![body.into_bytes()]),
            ..Request::default()
        };
        client::send(self.addr, &request, TIMEOUT).expect("the authorization server answers")
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = fs::remove_file(&self.store);
    }
}

/// Starts the process and waits until it listens.
fn launch(port: u16, store: &Path) -> io::Result<(Child, SocketAddr)> {
    let folder = locate()?;
    let mut process = Command::new(folder.join("node"))
        .arg(repository().join("tests/oidc_provider/server.mjs"))
        .arg(&folder)
        .arg(port.to_string())
        .arg(store)
        // It ends when this is closed, so also with a test that is killed.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_there(&error))?;
    let Some(output) = process.stdout.take() else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 {
        let port = line.trim_end().strip_prefix("listening on ");
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            // What it says later has somewhere to go.
            process.stdout = Some(output.into_inner());
            return Ok((process, (Ipv4Addr::LOCALHOST, port).into()));
        }
        line.clear();
    }
    let status = process.wait()?;
    let text = format!("the authorization server has ended: {status}");
    Err(io::Error::other(text))
}

/// `OIDC_PROVIDER`, else what `tests/find-oidc-provider.sh` finds or fetches.
fn locate() -> io::Result<PathBuf> {
    if let Some(named) = env::var_os("OIDC_PROVIDER").filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    let found = Command::new(repository().join("tests/find-oidc-provider.sh")).output()?;
    match found.status.success() {
        true => Ok(String::from_utf8_lossy(&found.stdout).trim().into()),
        false => Err(io::Error::other(String::from_utf8_lossy(&found.stderr))),
    }
}

fn not_there(error: &io::Error) -> io::Error {
    let text = format!(
        "{error}; tests/find-oidc-provider.sh fetches the authorization server, and make test runs it"
    );
    io::Error::new(error.kind(), text)
}
