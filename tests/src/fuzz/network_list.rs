//! Lists of networks, as a service answers.

use std::net::IpAddr;
use std::rc::Rc;

use portcullis::call::CallError;
use portcullis::engine::Engine;
use portcullis::memory_host::{MemoryHost, MemoryResponse};
use portcullis::worker::Worker;
use serde_json::{Value, json};

use super::{NOW, bearer, judge};
use crate::still::still;

/// Of whom requests come, whatever the list says; and from near to where its networks begin and end.
const CLIENTS: [&str; 5] = [
    "192.0.2.1",
    "198.51.100.255",
    "2001:db8::1",
    "::",
    "255.255.255.255",
];

fn document() -> String {
    json!({
        "version": 1,
        "access_log": {},
        "client_address": { "trusted_hops": 1 },
        "networks": { "l": { "remote": {
            "cluster": "lists", "uri": "https://lists.example.com/networks", "max_networks": 100,
        } } },
        "routes": [{ "name": "all", "match": {}, "open": true, "rate_limits": [{
            "name": "each", "key": [{ "network": ["l"] }], "missing": "refuse",
            "sliding_window": { "requests": 1_000_000, "per": "1s" },
        }] }],
    })
    .to_string()
}

/// The answer of a service that is asked for a list of networks. It is taken whole or not at all: if it is not,
/// nobody's request is told whether it is in there. If it is, each address is in it that is in one of its networks
/// as a plain reader takes them, and no other.
///
/// # Panics
/// When that does not hold.
pub fn network_list(answer: &[u8]) -> bool {
    let answer = answer.to_vec();
    let read: Option<Value> = serde_json::from_slice(&answer).ok();
    let host = still(NOW).with_responding_cluster("lists", move |_| -> Result<_, CallError> {
        Ok(MemoryResponse::new(200, &answer))
    });
    let host = Rc::new(host);
    let engine = Rc::new(Engine::compile(document().as_bytes()).expect("the document is right"));
    let worker = Worker::new(Rc::clone(&engine), Rc::<MemoryHost>::clone(&host));
    worker.tick();
    for (token, end) in host.take_ended() {
        worker.received(token, &end);
    }
    let said = |client: IpAddr| {
        let mut headers = bearer(b"/", b"Basic none");
        headers.push(b"x-forwarded-for", client.to_string().as_bytes());
        judge(&engine, headers, &*host).refusal.unwrap_or_default()
    };
    let is_taken = !said(address("192.0.2.1")).starts_with("503");
    let networks = is_taken.then(|| {
        let read = read.expect("a list that is JSON");
        let networks = read["networks"].as_array().expect("a list of networks");
        let texts = networks.iter().map(|each| each.as_str().expect("a text"));
        texts.map(network).collect::<Vec<_>>()
    });
    let ends = networks
        .iter()
        .flatten()
        .flat_map(|(first, prefix)| near(*first, *prefix));
    let clients = CLIENTS.map(address).into_iter().chain(ends);
    for client in clients {
        let expected = match &networks {
            None => "503 portcullis.rate_limit_unavailable.networks",
            Some(networks) if networks.iter().any(|network| holds(*network, client)) => "",
            Some(_) => "400 portcullis.rate_limit_key.key_missing",
        };
        assert_eq!(said(client), expected, "{client}");
    }
    is_taken
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An address and how many of its bits count, as a plain reader has them. What is written as an IPv4 address in
/// an IPv6 one is taken for the former.
fn network(text: &str) -> (IpAddr, u32) {
    let (first, prefix) = text
        .split_once('/')
        .map_or((text, None), |(first, prefix)| {
            (first, Some(prefix.parse::<u32>().expect("a number")))
        });
    let first = address(first);
    let prefix = prefix.unwrap_or(if first.is_ipv4() { 32 } else { 128 });
    match first {
        IpAddr::V6(of) if of.to_ipv4_mapped().is_some() && prefix >= 96 => {
            (first.to_canonical(), prefix - 96)
        }
        _ => (first, prefix),
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        // So that its first bit is the first of all.
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn holds((first, prefix): (IpAddr, u32), client: IpAddr) -> bool {
    let client = client.to_canonical();
    let differ = bits(first) ^ bits(client);
    first.is_ipv4() == client.is_ipv4() && differ.leading_zeros() >= prefix
}

/// The addresses at both ends of a network, and those beside them.
fn near(first: IpAddr, prefix: u32) -> Vec<IpAddr> {
    match first {
        IpAddr::V4(first) => {
            let first = first.to_bits();
            let last = first | u32::MAX.checked_shr(prefix).unwrap_or(0);
            let near = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
            near.map(|bits| IpAddr::V4(bits.into())).to_vec()
        }
        IpAddr::V6(first) => {
            let first = first.to_bits();
            let last = first | u128::MAX.checked_shr(prefix).unwrap_or(0);
            let near = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
            near.map(|bits| IpAddr::V6(bits.into())).to_vec()
        }
    }
}
