//! What the document needs of the VM's environment, and this VM has not; what of it has ended.

use crate::engine::Engine;
use portcullis_exchange::host::{Level, WorkerHost};
use portcullis_exchange::section::EnvironmentFault;

/// So many rules that have ended are named; the others are counted.
const MOST_ENDED: usize = 16;

/// Tells an operator of the variables that the document needs and that are missing, or too short. A
/// secret that is not there is no reason to refuse the document, for another worker's VM might have
/// it; the tokens that need it are refused. And of rules that are past their end, which is no reason either.
pub fn report_missing(engine: &Engine, host: &dyn WorkerHost) {
    for EnvironmentFault { is_error, text } in engine.environment_faults(host) {
        let level = if is_error { Level::Error } else { Level::Warn };
        host.log(level, &text);
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "the document dates its rules by it"
    )]
    let now = host.wall_clock();
    let ended = || engine.ended(now);
    for place in ended().take(MOST_ENDED) {
        host.log(
            Level::Warn,
            &format!("{place}: has ended, by `not_after`, and says nothing any more; remove it"),
        );
    }
    let more = ended().count().saturating_sub(MOST_ENDED);
    if more > 0 {
        host.log(
            Level::Warn,
            &format!("{more} more rules have ended, by `not_after`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    #[test]
    fn rules_that_have_ended_are_told_of_by_each_worker() {
        let rules: Vec<String> = (0..20)
            .map(|n| {
                format!(
                    r#""r{n}": {{ "action": "deny", "everywhere": true, "not_after": {} }}"#,
                    1000 + n
                )
            })
            .collect();
        let document = format!(
            r#"{{ "version": 1, "access_rules": {{ {} }}, "routes": [{{ "name": "a", "match": {{}}, "open": true, "access": {{
                "default": "allow", "rules": [{{ "name": "own", "action": "deny", "not_after": "1970-01-01T00:16:39Z" }}] }} }}] }}"#,
            rules.join(", ")
        );
        let engine = Engine::compile(document.as_bytes());
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        let told = |second: u64| {
            let host = MemoryHost::new().at_second(second);
            report_missing(&engine, &host);
            let lines = host.take_log().into_iter();
            lines.map(|(_, line)| line).collect::<Vec<String>>()
        };
        assert_eq!(told(998), [""; 0]);
        let own = "/routes/0/access/rules/0: has ended, by `not_after`, and says nothing any more; remove it";
        assert_eq!(told(999), [own]);
        let two = told(1000);
        assert!(
            two.len() == 2 && two[0].starts_with("/access_rules/r0: "),
            "{two:?}"
        );
        let all = told(2000);
        assert_eq!(all.len(), MOST_ENDED + 1, "{all:?}");
        assert_eq!(
            all.last().unwrap(),
            "5 more rules have ended, by `not_after`"
        );
    }
}
