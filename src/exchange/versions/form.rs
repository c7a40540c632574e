//! How the names of versions look.

/// How the names of versions look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionForm {
    /// `v1`, `v2.1`.
    Marked,
    /// `1`, `2.1`.
    Number,
    /// `2026-11-30`.
    Date,
}

impl VersionForm {
    /// Whether a name looks so. Case is nothing: `V1` is meant as a version, and is none that there is.
    pub fn fits(self, name: &str) -> bool {
        match self {
            VersionForm::Marked => name.strip_prefix(['v', 'V']).is_some_and(is_number),
            VersionForm::Number => is_number(name),
            VersionForm::Date => is_date(name),
        }
    }

    /// An example of it.
    pub fn example(self) -> &'static str {
        match self {
            VersionForm::Marked => "v1",
            VersionForm::Number => "1",
            VersionForm::Date => "2026-11-30",
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split('.').all(digits)
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_version() {
        for (form, yes, no) in [
            (
                VersionForm::Marked,
                &["v1", "V1", "v2.1", "v10.0.3"][..],
                &["1", "v", "v1.", "v.1", "vx", "v1a", "", "version1"][..],
            ),
            (VersionForm::Number, &["1", "2.1"], &["v1", "", ".", "1x"]),
            (
                VersionForm::Date,
                &["2026-11-30", "0000-00-00"],
                &["2026-11-3", "2026/11/30", "2026-11-300", ""],
            ),
        ] {
            for name in yes {
                assert!(form.fits(name), "{name}");
            }
            for name in no {
                assert!(!form.fits(name), "{name}");
            }
            assert!(form.fits(form.example()));
        }
    }
}
