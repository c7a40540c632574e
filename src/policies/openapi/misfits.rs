//! How the security of an API does not fit what a route asks of callers.

use super::OpenApi;
use portcullis_exchange::policy::{Misfits, RouteCredentials};

/// How many operations a note names.
const FEW: usize = 8;

/// What there is to say of the operations of a route.
#[derive(Default)]
struct ApiFit {
    /// Each problem, with the first operation that has it.
    problems: Vec<(String, String)>,
    /// The operations that anybody may call.
    open: Vec<String>,
    guarded: usize,
}

impl OpenApi {
    /// How its security does not fit what the route asks of callers; nothing if nobody asks for security.
    pub(super) fn misfits_of_security(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        let mut found = ApiFit::default();
        for path in &self.paths {
            for operation in &path.operations {
                let Some(security) = &operation.security else {
                    return Misfits::default();
                };
                let name = || format!("{} {}{}", operation.method, self.base, path.template);
                match security.is_open() {
                    true => found.open.push(name()),
                    false => found.guarded = found.guarded.saturating_add(1),
                }
                let is_known =
                    |reason: &String| found.problems.iter().any(|(_, each)| each == reason);
                let misfit = security.misfit(credentials);
                if let Some(reason) = misfit.filter(|reason| !is_known(reason)) {
                    found.problems.push((name(), reason));
                }
            }
        }
        let notes = found.note(credentials).into_iter().collect();
        let problems = found.problems.into_iter();
        Misfits {
            problems: problems
                .map(|(name, reason)| format!("{name} {reason}"))
                .collect(),
            notes,
        }
    }
}

impl ApiFit {
    fn note(&self, credentials: &RouteCredentials<'_>) -> Option<String> {
        let is_guarded = credentials.guard.is_some();
        if is_guarded && credentials.asked.is_empty() {
            // The route's block is wrong, and has been reported.
            return None;
        }
        let mut asked = credentials.asked.iter();
        let is_optional = asked.all(|asked| asked.is_optional);
        let open = self.named_open();
        match (is_guarded, self.open.is_empty()) {
            (false, _) if self.guarded == 0 => Some(
                "no operation of the API asks for a credential, and `security` says what they would be; take it out".to_owned(),
            ),
            (false, _) => None,
            (true, false) if is_optional => {
                Some(format!("anybody may call, by the security of the API: {open}"))
            }
            (true, false) => Some(format!(
                "by the security of the API anybody may call {open}, and the route asks for a credential all the same; say `optional: true` in its block if they are meant for anybody"
            )),
            (true, true) if is_optional => Some(
                "every operation asks for a credential; take `optional` out of the route's block, so that nobody learns without one which operations there are".to_owned(),
            ),
            (true, true) => None,
        }
    }

    fn named_open(&self) -> String {
        let few: Vec<&str> = self.open.iter().take(FEW).map(String::as_str).collect();
        let few = few.join(", ");
        match self.open.len().saturating_sub(FEW) {
            0 => few,
            more => format!("{few} and {more} more"),
        }
    }
}
