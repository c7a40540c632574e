//! The examples that services have published, and what the libraries of others have signed.

use std::time::Duration;

use super::*;
use crate::authn::signed_request::refusals::{EARLY, OLD};
use portcullis_document::{Node, Problems};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::json::Json;

/// A message: its preset, the secret, when it came, its fields and its body.
struct SignedExample<'m> {
    preset: &'m str,
    secret: &'m str,
    now: u64,
    fields: &'m [(&'m str, &'m str)],
    body: &'m [u8],
}

fn read<T>(json: &str, read: impl FnOnce(&Node<'_>, &mut Problems) -> Option<T>) -> T {
    let json = Json::parse(json.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let value = read(&Node::root(&json), &mut problems);
    let read = problems.into_result(value);
    read.unwrap_or_else(|error| panic!("{error}"))
}

impl SignedExample<'_> {
    fn head(&self) -> Result<MacCheck, Refusal> {
        let form = read(&format!("{:?}", self.preset), WebhookForm::read_preset);
        let secrets = read(r#"{"env": "SECRET"}"#, |node, problems| {
            SharedSecret::read(node, form.secrets(), problems).map(|secret| vec![secret])
        });
        let host = MemoryHost::new().with_variable("SECRET", self.secret);
        let mut headers = Headers::default();
        headers.push(b":method", b"POST");
        headers.push(b":path", b"/hooks");
        for (name, value) in self.fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let period = Period::new(Duration::from_secs(self.now), 300);
        let webhook = Webhook { form, secrets };
        let head = webhook.judge_head(&headers, &period, None, &host)?;
        Ok(head.check)
    }

    fn is_valid(&self, body: &[u8]) -> bool {
        let mut check = self.head().unwrap_or_else(|refusal| panic!("{refusal:?}"));
        body.chunks(5).for_each(|piece| check.update(piece));
        matches!(check.end(), MacResult::Valid(_))
    }

    /// It is good, and nothing else is.
    fn assert_good(&self) {
        assert!(self.is_valid(self.body), "{}", self.preset);
        let mut other = self.body.to_vec();
        other[0] ^= 1;
        assert!(!self.is_valid(&other), "{}", self.preset);
        assert!(!self.is_valid(&self.body[1..]), "{}", self.preset);
        let other = SignedExample {
            secret: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            ..*self
        };
        assert!(!other.is_valid(self.body), "{}", self.preset);
    }
}

/// The example of the specification of Standard Webhooks, and of its libraries.
const STANDARD: SignedExample<'_> = SignedExample {
    preset: "standard_webhooks",
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    now: 1_614_265_330,
    fields: &[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ],
    body: br#"{"test": 2432232314}"#,
};

#[test]
fn the_example_of_standard_webhooks() {
    STANDARD.assert_good();
}

/// From the page of GitHub's documentation about validating deliveries.
#[test]
fn the_example_of_github() {
    SignedExample {
        preset: "github",
        secret: "It's a Secret to Everybody",
        now: 0,
        fields: &[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )],
        body: b"Hello, World!",
    }
    .assert_good();
}

/// From the page of Slack's documentation about verifying requests.
#[test]
fn the_example_of_slack() {
    SignedExample {
        preset: "slack",
        secret: "8f742231b10e8888abcd99yyyzzz85a5",
        now: 1_531_420_618,
        fields: &[
            ("x-slack-request-timestamp", "1531420618"),
            (
                "x-slack-signature",
                "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            ),
        ],
        body: b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    }
    .assert_good();
}

const STRIPE: &str = "t=1492774577,v1=5525348586a1c0395f71a953fc84c86a1023d7ac110d81ae2644921bc671f544,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";

/// Stripe shows the form of its header without the secret. This one its own library has made: `stripe` 16.1.0 of
/// PyPI, `WebhookSignature`.
#[test]
fn what_the_library_of_stripe_signs() {
    SignedExample {
        preset: "stripe",
        secret: "whsec_5f9d2c1be04f4a7f8e9a3d1c2b6a7e80",
        now: 1_492_774_577,
        fields: &[("stripe-signature", STRIPE)],
        body: br#"{"id": "evt_test_webhook", "object": "event"}"#,
    }
    .assert_good();
}

#[test]
fn the_time_of_a_message_is_near() {
    for (now, reason) in [(1_614_265_631, &OLD), (1_614_265_029, &EARLY)] {
        let message = SignedExample { now, ..STANDARD };
        let refused = message.head().err().map(|refusal| refusal.reason);
        assert_eq!(refused, Some(reason), "{now}");
    }
    for now in [1_614_265_630, 1_614_265_030] {
        assert!(
            SignedExample { now, ..STANDARD }.is_valid(STANDARD.body),
            "{now}"
        );
    }
}
