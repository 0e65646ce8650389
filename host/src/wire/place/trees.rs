//! Directories, and what is in them.

use super::{NO, Place};
use crate::wire::WireError;

const OWN: &str = r#"set -e
[ -z "$2" ] || chmod "$2" -- "$1"
[ -z "$3" ] || chown "$3" -- "$1""#;

const REMOVE_TREE: &str = r#"rm -rf -- "$1""#;

const KEEP_ONLY: &str = r#"[ -d "$1" ] || exit 0
for found in "$1/$2"*; do
  [ "$found" = "$1/$3" ] || rm -rf -- "$found" || exit 1
done"#;

/// Some versions of `cp` call it a failure that they did as they were told.
const MERGE: &str = r#"[ -d "$1" ] || exit 0
mkdir -p -- "$2" || exit 1
said=$(cp -rn -- "$1/." "$2/" 2>&1) && exit 0
case $said in
  *"No space left on device"*|*"Disk quota exceeded"*) echo "$said" >&2; exit 1;;
  ''|*"not replacing"*) exit 0;;
  *) echo "$said" >&2; exit 1;;
esac"#;

const LIST: &str = r#"[ -d "$1" ] || exit 65
ls -A -- "$1""#;

const EXTRACT: &str = r#"command -v docker >/dev/null 2>&1 || { echo "the program docker is not installed" >&2; exit 1; }
mkdir -p -- "$1" || exit 1
docker container rm "$4" >/dev/null 2>&1
docker container create --name "$4" "$2" >/dev/null || exit 1
docker container cp -L "$4:$3/." "$1" >/dev/null; code=$?
docker container rm "$4" >/dev/null 2>&1
exit $code"#;

impl Place {
    /// Changes mode and owner of a file or directory, as `chmod` and `chown` write them.
    pub async fn own(
        &self,
        path: &str,
        mode: Option<&str>,
        owner: Option<&str>,
    ) -> Result<(), WireError> {
        let what = format!("changing the owner of {path}");
        self.script(
            &what,
            OWN,
            &[path, mode.unwrap_or(""), owner.unwrap_or("")],
            None,
        )
        .await?;
        Ok(())
    }

    /// Removes a file, or a directory with all that is in it; not there is success.
    pub async fn remove_tree(&self, path: &str) -> Result<(), WireError> {
        self.script(&format!("removing {path}"), REMOVE_TREE, &[path], None)
            .await?;
        Ok(())
    }

    /// Removes whatever in a directory has a name that begins with `prefix` and is not `keep`.
    pub async fn keep_only(
        &self,
        directory: &str,
        prefix: &str,
        keep: &str,
    ) -> Result<(), WireError> {
        let what = format!("clearing {directory}");
        self.script(&what, KEEP_ONLY, &[directory, prefix, keep], None)
            .await?;
        Ok(())
    }

    /// Copies what is in one directory into another, and leaves what is there already as it is.
    pub async fn merge(&self, source: &str, target: &str) -> Result<(), WireError> {
        let what = format!("copying {source} into {target}");
        self.script(&what, MERGE, &[source, target], None).await?;
        Ok(())
    }

    /// Names in a directory, or `None` when there is none.
    pub async fn list(&self, path: &str) -> Result<Option<Vec<String>>, WireError> {
        let output = self
            .script(&format!("listing {path}"), LIST, &[path], None)
            .await?;
        let names = String::from_utf8_lossy(&output.stdout);
        Ok((output.code != NO).then(|| names.lines().map(str::to_owned).collect()))
    }

    /// Copies a directory of an image into one of this place, by means of a container that never runs.
    pub async fn extract_from_image(
        &self,
        directory: &str,
        image: &str,
        path: &str,
        container: &str,
    ) -> Result<(), WireError> {
        let what = format!("copying {path} out of {image}");
        let arguments = [directory, image, path, container];
        self.script(&what, EXTRACT, &arguments, None).await?;
        Ok(())
    }
}
