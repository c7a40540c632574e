//! The page in a real Chromium.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portcullis_tests::chromium::{self, Chromium};
use portcullis_tests::tokens::repository;
use portcullis_tests::{module_path, node};
use serde_json::Value;

/// The page, served on a port of its own, in a browser that reaches nothing but this machine.
struct Stage {
    // The browser goes first.
    browser: Chromium,
    server: Child,
    url: String,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What is in the editor.
const EDITOR: &str = "document.getElementById('editor').shadowRoot.querySelector('.cm-content')";

impl Stage {
    /// None, and a line that says so, where there is no Node.js or no browser, or the page cannot be built.
    fn open(test: &str) -> Option<Self> {
        if env::var_os("PLAYGROUND_PACKAGES").is_some_and(|folder| folder.is_empty()) {
            let line = format!("NOT TESTED, since PLAYGROUND_PACKAGES is empty: {test}\n");
            let _ = io::stderr().write_all(line.as_bytes());
            return None;
        }
        let (node, driver) = (node::locate(test)?, chromium::locate(test)?);
        let folder = built(&node);
        let mut server = Command::new(&node)
            .arg(repository().join("docs/playground/serve.mjs"))
            .args([folder.as_os_str(), "0".as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js serves the page");
        let mut line = String::new();
        let output = server.stdout.take().expect("it is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says where");
        let url = line.trim().strip_prefix("playground: ").expect("a URL");
        let arguments = [
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--disable-background-networking",
            "--no-proxy-server",
            "--window-size=1360,1000",
        ];
        let stage = Self {
            browser: Chromium::start(&driver, &arguments.map(str::to_owned)).unwrap(),
            url: url.to_owned(),
            server,
        };
        stage.visit(&stage.url);
        Some(stage)
    }

    fn visit(&self, url: &str) {
        // A change of the fragment alone loads no page.
        self.browser.open("about:blank").unwrap();
        self.browser.open(url).unwrap();
        self.until("document.documentElement.dataset.ready === 'yes'");
    }

    fn until(&self, expression: &str) {
        let waited = self.browser.wait_until(expression);
        waited.unwrap_or_else(|error| {
            panic!(
                "{error}; the page: {}",
                self.value("document.body.innerText")
            )
        });
    }

    fn value(&self, expression: &str) -> Value {
        let value = self.browser.value(expression);
        value.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn text(&self, id: &str) -> String {
        let text = self.value(&format!("document.getElementById('{id}').innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    fn click(&self, selector: &str) {
        self.value(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Chooses or types as a person does, as far as the page can tell.
    fn set(&self, id: &str, value: &str) {
        let script = "const [id, value] = arguments, field = document.getElementById(id);
            field.value = value;
            for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }));
            done(true);";
        self.browser
            .run(script, &[id.into(), value.into()])
            .unwrap();
    }

    fn choose(&self, example: &str) {
        let find = format!(
            "[...document.getElementById('example').options].find(o => o.text === {example:?}).value"
        );
        let at = self.value(&find);
        self.value("document.getElementById('about').textContent = ''");
        self.set("example", at.as_str().expect("there is such an example"));
        self.until("document.getElementById('about').textContent !== ''");
        self.until("document.getElementById('verdict').textContent.includes('in force')");
    }

    fn sample(&self, name: &str) {
        let find = format!(
            "[...document.getElementById('sample').options].find(o => o.text === {name:?}).value"
        );
        let at = self.value(&find);
        self.value("document.getElementById('url').value = ''");
        self.set("sample", at.as_str().expect("there is such a request"));
        self.until("document.getElementById('url').value !== ''");
    }

    fn send(&self) -> String {
        self.value("document.getElementById('outcome').replaceChildren()");
        self.click("#send");
        self.until("document.getElementById('outcome').children.length > 0");
        self.text("verdict")
    }

    /// Types over all of the document.
    fn write(&self, text: &str) {
        let script = format!(
            "const content = {EDITOR};
            content.focus();
            document.execCommand('selectAll');
            document.execCommand('insertText', false, arguments[0]);
            done(true);"
        );
        self.browser.run(&script, &[text.into()]).unwrap();
    }

    fn document(&self) -> String {
        let lines = format!(
            "[...{EDITOR}.querySelectorAll('.cm-line')].map(l => l.textContent).join('\\n')"
        );
        self.value(&lines).as_str().unwrap_or_default().to_owned()
    }

    /// What is marked as wrong.
    fn marked(&self) -> Value {
        self.value(&format!(
            "[...{EDITOR}.querySelectorAll('.cm-lintRange-error')].map(m => m.textContent)"
        ))
    }
}

/// The built page.
fn built(node: &Path) -> PathBuf {
    let out =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("playground-{}", std::process::id()));
    let built = Command::new(repository().join("docs/playground/build.sh"))
        .arg(module_path())
        .env("NODE", node)
        .env("PLAYGROUND_OUT", &out)
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    out
}

const WRONG: &str = r#"{
  "version": 1,
  "routes": [
    { "name": "all", "match": { "path": { "prefix": "/" }, "metods": ["GET"] }, "open": true }
  ]
}"#;

#[test]
fn the_page_judges_a_request_and_tells_what_is_wrong_and_asks_nobody() {
    let Some(stage) = Stage::open("the playground in a browser") else {
        return;
    };
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    judges(&stage);
    examples_work_at_once(&stage);
    shows_problems(&stage);
    carries_a_link(&stage);
    makes_tokens(&stage);
    answers_calls(&stage);
    takes_curl(&stage);
    names_everything(&stage);
    asks_nobody(&stage, &elsewhere);
}

fn judges(stage: &Stage) {
    // The first example has been sent.
    assert!(
        stage.text("verdict").starts_with("200"),
        "{}",
        stage.text("verdict")
    );
    let seen = stage.text("upstream-seen");
    assert!(
        seen.contains("GET /orders/7") && seen.contains("− authorization"),
        "{seen}"
    );
    assert!(stage.text("record").contains(r#""user.id": "alice""#));
    stage.sample("without a token");
    let verdict = stage.send();
    assert!(
        verdict.contains("401 jwt_missing") && verdict.contains("Refused by jwt"),
        "{verdict}"
    );
    assert!(
        stage.text("policies").contains("denied"),
        "{}",
        stage.text("policies")
    );
    let counters = stage.text("counters");
    assert!(
        counters.contains("wasmcustom.portcullis.code.jwt_missing.denied"),
        "{counters}"
    );
    assert!(
        stage
            .text("response-seen")
            .contains("www-authenticate: Bearer")
    );
    // What was put in to have policies speak is not in what is shown.
    for id in ["response-seen", "record"] {
        let shown = stage.text(id);
        assert!(
            !shown.contains("explain") && !shown.contains("playground"),
            "{shown}"
        );
    }
    // The rule leads to its place.
    assert_eq!(
        stage.value("document.querySelector('.place').textContent"),
        "/routes/1/jwt/provider"
    );
    stage.click(".place");
    let line = stage.value(&format!(
        "{EDITOR}.querySelector('.cm-activeLine').textContent.trim()"
    ));
    assert!(line.as_str().unwrap().starts_with("\"jwt\":"), "{line}");
    // Limits go on from one request to the next.
    stage.choose("Plans: what partners have paid for");
    stage.sample("without a plan, once");
    stage.set("times", "3");
    let verdict = stage.send();
    assert!(verdict.contains("429 rate_limited"), "{verdict}");
    assert_eq!(
        stage.value("[...document.querySelectorAll('.history li')].map(i => i.textContent).join()"),
        "200,200,429"
    );
    stage.set("times", "1");
    stage.set("seconds", "121");
    stage.click("#pass");
    stage.until("document.getElementById('verdict').textContent.includes('have passed')");
    assert!(stage.send().starts_with("200"));
}

/// Documents of the documentation, with the requests of their cases, and tokens of the page's own keys.
fn examples_work_at_once(stage: &Stage) {
    let library = "fetch('examples.json').then(answer => answer.json()).then(library =>
        done(library.examples.map(each => [each.title, each.requests[0].status ?? 200])))";
    let examples = stage.browser.run(library, &[]).unwrap();
    let examples = examples.as_array().expect("a list");
    assert!(examples.len() >= 11, "{examples:?}");
    for example in examples {
        let title = example[0].as_str().expect("a title");
        stage.choose(title);
        assert!(
            stage.text("problems").starts_with("Valid."),
            "{title}: {}",
            stage.text("problems")
        );
        let verdict = stage.send();
        assert!(
            verdict.starts_with(&example[1].to_string()),
            "{title}: {verdict}"
        );
    }
}

fn shows_problems(stage: &Stage) {
    stage.write(WRONG);
    stage.until("document.querySelector('#problems code')");
    assert_eq!(
        stage.text("problems").trim(),
        "/routes/0/match/metods: unknown field; did you mean \"methods\"?"
    );
    assert_eq!(stage.marked(), serde_json::json!(["\"metods\""]));
    assert!(stage.text("verdict").contains("has a problem"));
    // In YAML at its place too.
    stage.click("input[name=format][value=yaml]");
    stage.until("document.querySelector('#problems code')");
    assert!(
        stage.document().starts_with("version: 1"),
        "{}",
        stage.document()
    );
    assert_eq!(stage.marked(), serde_json::json!(["metods"]));
    stage.write(
        "version: 1\nroutes:\n  - name: all\n    match: { path: { prefix: / } }\n  open: [\n",
    );
    stage.until(
        "document.querySelector('#problems li') && !document.querySelector('#problems code')",
    );
    // Back in JSON: what is no JSON, by line and column.
    stage.write("version: 1");
    stage.until("document.querySelectorAll('#problems li').length > 0");
    stage.click("input[name=format][value=json]");
    stage.write("{\"version\": 1,\n \"routes\": [],}");
    stage.until(
        "document.getElementById('problems').textContent.includes('a comma behind the last value')",
    );
    assert_eq!(stage.marked(), serde_json::json!([","]));
}

fn carries_a_link(stage: &Stage) {
    stage.choose("Orders: a token with a scope");
    stage.sample("with a token that lacks the scope");
    let verdict = stage.send();
    assert!(verdict.contains("403"), "{verdict}");
    let document = stage.document();
    stage.click("#share");
    stage.until(
        "location.hash.startsWith('#v1=') && document.getElementById('shared').textContent !== ''",
    );
    let link = stage.browser.url().unwrap();
    assert!(link.len() < 4000, "{}", link.len());
    stage.visit(&link);
    assert_eq!(stage.text("verdict"), verdict);
    assert_eq!(stage.document(), document);
    assert!(stage.text("about").contains("From a link"));
    // One that was cut off says so.
    stage.visit(&link[..link.len() - 20]);
    assert!(
        stage.text("about").contains("cannot be read"),
        "{}",
        stage.text("about")
    );
}

fn makes_tokens(stage: &Stage) {
    stage.visit(&stage.url);
    stage.sample("without a token");
    stage.value("document.getElementById('token-details').open = true");
    stage.click("#new-key");
    stage.until("document.getElementById('token-said').textContent.includes('new key')");
    stage.click("#sign");
    stage.until("document.getElementById('headers').value.startsWith('authorization: Bearer ')");
    // The document does not know the key yet.
    let verdict = stage.send();
    assert!(verdict.contains("401 jwt_invalid"), "{verdict}");
    // In YAML it stands as JSON, which is YAML too.
    stage.click("input[name=format][value=yaml]");
    stage.until("document.getElementById('verdict').textContent.includes('in force')");
    stage.click("#put-key");
    stage.until("document.getElementById('token-said').textContent.includes('has the key now')");
    let verdict = stage.send();
    assert!(verdict.starts_with("200"), "{verdict}");
}

fn answers_calls(stage: &Stage) {
    stage.choose("Keys that are fetched");
    let verdict = stage.send();
    assert!(verdict.starts_with("200"), "{verdict}");
    let calls = stage.value("document.getElementById('calls').textContent");
    let asked = "GET id.example.com/.well-known/jwks.json";
    assert!(calls.as_str().unwrap().contains(asked), "{calls}");
    // Another answer, and the keys are not there.
    stage.set("call-body-0", "no keys");
    stage.click("#calls button");
    stage.until("document.getElementById('verdict').textContent.includes('in force')");
    let verdict = stage.send();
    assert!(verdict.contains("503 jwt_keys_unavailable"), "{verdict}");
}

fn takes_curl(stage: &Stage) {
    stage.choose("CORS, and the shape of a body");
    stage.click("input[name=form][value=curl]");
    stage.until("!document.getElementById('curl-form').hidden");
    stage.set("curl", "curl https://api.example.com/orders -H 'content-type: application/json' -d '{\"item\": \"\", \"count\": 1}'");
    let verdict = stage.send();
    assert!(verdict.contains("422 payload_schema"), "{verdict}");
    stage.set("curl", "wget https://api.example.com/orders");
    stage.click("#send");
    stage.until(
        "document.getElementById('curl-problem').textContent.includes('does not begin with curl')",
    );
    stage.set(
        "curl",
        "curl https://api.example.com/orders -d @orders.json",
    );
    stage.click("#send");
    stage.until("document.getElementById('curl-problem').textContent.includes('a file of yours')");
}

/// Everything that takes input has a name, and every name is there once.
fn names_everything(stage: &Stage) {
    let nameless = "[...document.querySelectorAll('input, select, textarea')]
        .filter(f => ![...f.labels].some(l => l.textContent.trim())).map(f => f.outerHTML)";
    assert_eq!(stage.value(nameless), serde_json::json!([]));
    let repeated = "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, at, all) => all.indexOf(id) !== at)";
    assert_eq!(stage.value(repeated), serde_json::json!([]));
    let mute = "[...document.querySelectorAll('button')].filter(b => !b.textContent.trim()).length";
    assert_eq!(stage.value(mute), 0);
    assert_eq!(
        stage.value(&format!("{EDITOR}.getAttribute('aria-label')")),
        "Document"
    );
}

fn asks_nobody(stage: &Stage, elsewhere: &TcpListener) {
    let origin = stage.url.trim_end_matches('/');
    let loaded = stage.value("performance.getEntriesByType('resource').map(e => e.name)");
    let loaded = loaded.as_array().expect("a list");
    assert!(loaded.len() >= 5, "{loaded:?}");
    for each in loaded {
        let url = each.as_str().unwrap_or_default();
        assert!(url.starts_with(origin) || url.starts_with("data:"), "{url}");
    }
    // Nor could it: its policy forbids.
    let target = format!("http://{}/", elsewhere.local_addr().unwrap());
    let script = "const violated = new Promise(tell =>
            document.addEventListener('securitypolicyviolation', event => tell(event.effectiveDirective), { once: true }));
        fetch(arguments[0]).then(() => done('fetched'), async () => done(await violated));";
    let said = stage.browser.run(script, &[target.into()]).unwrap();
    assert_eq!(said, "connect-src");
    assert!(elsewhere.accept().is_err(), "it has been asked");
}
