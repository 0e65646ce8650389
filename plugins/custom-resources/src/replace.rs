//! Whether a deployed function keeps its code.
//!
//! A function is replaced only when *our* code changed. Code of another maker (Copilot's, above all) does the same work, and an
//! existing stack that nobody changed must show no difference; so it stays for as long as the function around it stays what it
//! was written for: the same handler in the same runtime.

use crate::function::{Function, RUNTIME};

/// The code of a function in the deployed template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployed<'a> {
    /// `Code.S3Key`.
    pub key: &'a str,
    /// `Handler`.
    pub handler: &'a str,
    /// `Runtime`.
    pub runtime: &'a str,
}

impl Deployed<'_> {
    /// True if the deployed code stays where it is.
    ///
    /// | deployed | stays |
    /// |---|---|
    /// | for another handler or runtime | no: the template changes both, and the code with them |
    /// | an archive of ours, the newest | yes |
    /// | an archive of ours, an older one | no |
    /// | an archive that is not ours | yes |
    pub fn stays(&self, function: &Function) -> bool {
        let file = self.key.rsplit('/').next().unwrap_or(self.key);
        let digest = file.trim_end_matches(".zip");
        let same_contract = self.handler == function.handler() && self.runtime == RUNTIME;
        same_contract && !is_older(digest, function.published())
    }
}

/// True for every published digest but the last.
fn is_older(digest: &str, published: &[&str]) -> bool {
    let older = published.split_last().map(|(_, older)| older);
    older.is_some_and(|older| older.contains(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions;

    #[test]
    fn a_function_is_replaced_only_when_our_code_changed() {
        let function = functions("Static Site")[0];
        let ours = function.key();
        let copilots = "manual/scripts/custom-resources/triggerstatemachinefunction/5d0ff2.zip";
        let table = [
            (ours.as_str(), "index.handler", RUNTIME, true),
            (copilots, "index.handler", RUNTIME, true),
            (copilots, "index.handler", "nodejs16.x", false),
            (copilots, "main.handler", RUNTIME, false),
        ];
        for (key, handler, runtime, stays) in table {
            let deployed = Deployed {
                key,
                handler,
                runtime,
            };
            assert_eq!(deployed.stays(&function), stays, "{deployed:?}");
        }
    }

    #[test]
    fn an_archive_of_ours_is_older_when_another_was_published_after_it() {
        let published = ["first", "second", "third"];
        let older = ["first", "second", "third", "copilots"].map(|d| is_older(d, &published));
        assert_eq!(older, [true, true, false, false]);
        assert!(!is_older("first", &["first"]) && !is_older("first", &[]));
    }
}
