//! A rate limit service as Envoy's own filter asks it: `envoy.service.ratelimit.v3` over gRPC,
//! with its counts in Redis, where other instances of it find them.

mod limits;
mod messages;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::Message as _;
use serde_json::Value;

use self::limits::Limits;
use self::messages::{
    Code, DescriptorStatus, RateLimit, RateLimitDescriptor, RateLimitRequest, RateLimitResponse,
};
use crate::grpc::{Outcome, Server, status};
use crate::redis::{Client, Redis};

const METHOD: &[u8] = b"/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
/// Counts are kept a little longer than they count.
const KEPT_LONGER: Duration = Duration::from_secs(300);

/// One instance. Dropping it ends it; the counts stay with Redis.
#[derive(Debug)]
pub struct LimitService {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// Seconds since the epoch, the same until somebody sets them: a test that runs over the end
    /// of a minute must not see two.
    now: u64,
    redis: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    client: Option<Client>,
    silent: bool,
    hits: Vec<u32>,
    asked: Vec<Vec<Descriptor>>,
}

/// What a request is counted under: keys and values.
pub type Descriptor = Vec<(String, String)>;

impl LimitService {
    /// Starts an instance at `addr` with the limits of a file of `envoyproxy/ratelimit`, at that
    /// second of the epoch, which lasts as long as the instance.
    pub fn start_at(addr: SocketAddr, limits: &Value, redis: &Redis, now: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            limits: serde_json::from_value(limits.clone())?,
            now,
            redis: redis.socket().to_owned(),
            state: Mutex::default(),
        });
        let server = Server::start(addr, {
            let shared = Arc::clone(&shared);
            move |path, message| shared.call(path, message)
        })?;
        Ok(Self { server, shared })
    }

    /// [`start_at`](Self::start_at) a free port of 127.0.0.1.
    pub fn start(limits: &Value, redis: &Redis, now: u64) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), limits, redis, now)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// From now on no call is answered.
    pub fn fall_silent(&self) {
        self.shared.lock().silent = true;
    }

    /// Takes the `hits_addend` of every call so far.
    pub fn take_hits(&self) -> Vec<u32> {
        std::mem::take(&mut self.shared.lock().hits)
    }

    /// Takes the descriptors of every call so far.
    pub fn take_asked(&self) -> Vec<Vec<Descriptor>> {
        std::mem::take(&mut self.shared.lock().asked)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, path: &[u8], message: &[u8]) -> Outcome {
        if path != METHOD {
            return Outcome::Failure(status::UNIMPLEMENTED);
        }
        let Ok(request) = RateLimitRequest::decode(message) else {
            return Outcome::Failure(status::INTERNAL);
        };
        let mut state = self.lock();
        let descriptors = request.descriptors.iter().map(|descriptor| {
            let entries = descriptor.entries.iter();
            entries
                .map(|entry| (entry.key.clone(), entry.value.clone()))
                .collect()
        });
        state.asked.push(descriptors.collect());
        state.hits.push(request.hits_addend);
        if state.silent {
            return Outcome::Silence;
        }
        match self.judge(&request, &mut state) {
            Ok(response) => Outcome::Message(response.encode_to_vec()),
            Err(_) => Outcome::Failure(status::UNAVAILABLE),
        }
    }

    /// Every descriptor is counted; one over its limit is enough.
    fn judge(
        &self,
        request: &RateLimitRequest,
        state: &mut State,
    ) -> io::Result<RateLimitResponse> {
        let mut client = match state.client.take() {
            Some(client) => client,
            None => Client::connect(&self.redis)?,
        };
        let mut statuses = Vec::new();
        for descriptor in &request.descriptors {
            let hits = u64::from(request.hits_addend.max(1));
            statuses.push(self.count(&request.domain, descriptor, hits, &mut client)?);
        }
        state.client = Some(client);
        let over = statuses
            .iter()
            .any(|status| status.code() == Code::OverLimit);
        let mut response = RateLimitResponse {
            statuses,
            ..RateLimitResponse::default()
        };
        response.set_overall_code(if over { Code::OverLimit } else { Code::Ok });
        Ok(response)
    }

    fn count(
        &self,
        domain: &str,
        descriptor: &RateLimitDescriptor,
        hits: u64,
        client: &mut Client,
    ) -> io::Result<DescriptorStatus> {
        let mut answer = DescriptorStatus::default();
        answer.set_code(Code::Ok);
        let limit = self.limits.find(&descriptor.entries);
        let Some(limit) = limit.filter(|_| domain == self.limits.domain) else {
            return Ok(answer);
        };
        let window = limit.seconds();
        let begun = self.now - self.now % window;
        let mut counter = format!("{domain} {begun}");
        for entry in &descriptor.entries {
            let (key, value) = (&entry.key, &entry.value);
            counter.push_str(&format!(" {}:{key} {}:{value}", key.len(), value.len()));
        }
        let kept = Duration::from_secs(window) + KEPT_LONGER;
        let counted = client.add(&counter, hits, kept)?;
        let allowed = limit.requests_per_unit;
        if counted > allowed.into() {
            answer.set_code(Code::OverLimit);
        }
        let counted = u32::try_from(counted).unwrap_or(u32::MAX);
        answer.limit_remaining = allowed.saturating_sub(counted);
        answer.duration_until_reset = Some(messages::Duration {
            seconds: (begun + window - self.now).cast_signed(),
            nanos: 0,
        });
        let mut current = RateLimit {
            requests_per_unit: allowed,
            ..RateLimit::default()
        };
        current.set_unit(limit.unit());
        answer.current_limit = Some(current);
        Ok(answer)
    }
}
