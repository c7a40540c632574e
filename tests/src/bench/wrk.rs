//! The load generator, <https://github.com/wg/wrk>.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::chain::{PATH, Traffic, WIDE};
use super::h2load;
use super::placement::Placement;
use super::scratch::Scratch;

/// Connections, each with one request under way at a time.
pub(super) const CONNECTIONS: u32 = 16;

/// Reads tokens from a file, one a line, and the body if there is one; more than one go round, and an empty one is none.
/// Behind a token, and a blank, may stand a proof of DPoP.
/// In the end it prints one line of JSON.
const SCRIPT: &str = r#"
local requests, next = {}, 0

local method, body = "GET", nil
if os.getenv("BENCH_WRK_BODY") ~= "" then
  method, body = "POST", assert(io.open(os.getenv("BENCH_WRK_BODY"))):read("*a")
end

local function ask(line)
  local token, proof = line:match("^(%S*) ?(%S*)$")
  local fields = {
    ["DPoP"] = proof ~= "" and proof or nil,
    [os.getenv("BENCH_WRK_NAME")] = token ~= "" and os.getenv("BENCH_WRK_PREFIX") .. token or nil,
    ["Accept"] = "application/json",
    ["Accept-Encoding"] = "gzip",
    ["User-Agent"] = "portcullis-bench/1",
    ["Host"] = "api.bench.test",
    ["Origin"] = "https://app.bench.test",
  }
  for number = 1, tonumber(os.getenv("BENCH_WRK_FIELDS")) do
    fields["X-Field-" .. number] = "value " .. number
  end
  local kind = body and body:sub(1, 1) == "<" and "application/xml" or "application/json"
  fields["Content-Type"] = body and kind
  return wrk.format(method, nil, fields, body)
end

function init(args)
  for token in io.lines(os.getenv("BENCH_WRK_TOKENS")) do
    requests[#requests + 1] = token
  end
  for number, token in ipairs(requests) do
    requests[number] = ask(token)
  end
end

function request()
  next = next % #requests + 1
  return requests[next]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"microseconds":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"#;

/// wrk, with its script.
#[derive(Debug)]
pub(super) struct Wrk {
    script: PathBuf,
    version: String,
    placement: Placement,
}

/// What one run saw.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) microseconds: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Answers with a status of 400 or more.
    pub(super) refused: u64,
    /// Requests without an answer.
    pub(super) broken: u64,
}

impl Load {
    pub(super) fn per_second(&self) -> f64 {
        self.requests as f64 * 1e6 / self.microseconds.max(1) as f64
    }
}

impl Wrk {
    pub(super) fn find(scratch: &Scratch) -> Result<Self, String> {
        let about = Command::new("wrk").arg("-v").output().map_err(|_| {
            "the load generator wrk is missing; on Debian and Ubuntu: sudo apt-get install wrk"
                .to_owned()
        })?;
        let about = String::from_utf8_lossy(&about.stdout).into_owned();
        let version = about.split_whitespace().take(2).collect::<Vec<_>>();
        Ok(Self {
            script: scratch.write("script.lua", SCRIPT)?,
            version: version.join(" "),
            placement: Placement::look(),
        })
    }

    pub(super) fn version(&self) -> String {
        self.version.clone()
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Drives `addr` with these tokens, and that body, for so many seconds, as fast as it answers.
    pub(super) fn drive(
        &self,
        addr: SocketAddr,
        (traffic, tokens, body): (Traffic, &Path, Option<&Path>),
        seconds: u32,
    ) -> Result<Load, String> {
        let fields = match traffic {
            Traffic::Http2 => return h2load::drive(&self.placement, addr, tokens, seconds),
            Traffic::Wide => WIDE,
            Traffic::Same(_)
            | Traffic::New(_)
            | Traffic::None
            | Traffic::Expired
            | Traffic::OverLimit
            | Traffic::ApiKey
            | Traffic::Certificate
            | Traffic::Opaque
            | Traffic::Proof => 0,
        };
        let (name, prefix) = traffic.field();
        let mut command = self.placement.load("wrk");
        command
            .args(["-t", "1", "-c", &CONNECTIONS.to_string()])
            .args(["-d", &format!("{seconds}s"), "--timeout", "5s", "-s"])
            .arg(&self.script)
            .arg(format!("http://{addr}{PATH}"))
            .env("BENCH_WRK_TOKENS", tokens)
            .env("BENCH_WRK_NAME", name)
            .env("BENCH_WRK_PREFIX", prefix)
            .env("BENCH_WRK_FIELDS", fields.to_string())
            .env("BENCH_WRK_BODY", body.unwrap_or(Path::new("")));
        let output = command.output().map_err(|error| format!("wrk: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let load: Option<Load> = text
            .lines()
            .find_map(|line| line.strip_prefix("RESULT "))
            .and_then(|line| serde_json::from_str(line).ok());
        let load = load.ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("wrk gave no result: {text}{errors}")
        })?;
        match load.requests {
            0 => Err("wrk got no answer at all".to_owned()),
            _ => Ok(load),
        }
    }
}
