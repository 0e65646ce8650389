//! What is there.

use super::pull::has_digest;
use super::withheld::withheld;
use super::{Labels, Opened, failed, label_filters};
use crate::capability::run::Readers;
use crate::wire::docker::{Logs, Which};
use crate::wit::docker::{ContainerSummary, ImageSummary, LogLines};
use crate::wit::types::{CapError, Part};

/// Lines of a log at most.
const LINES: u32 = 10_000;

pub(super) async fn containers(
    opened: Opened,
    labels: Labels,
) -> Result<Vec<ContainerSummary>, CapError> {
    let _place = opened.session.budget()?;
    let found = opened
        .engine
        .containers(Which::All, &label_filters(&labels))
        .await
        .map_err(failed)?;
    let mut listed: Vec<ContainerSummary> = found
        .into_iter()
        .filter_map(|container| {
            let name = container.names.first()?.clone();
            let labels = container.labels.into_iter().collect();
            // What others run there is not this component's to know.
            opened
                .session
                .grants
                .covers_labelled_container(&name, &labels)
                .is_ok()
                .then(|| ContainerSummary {
                    id: container.id,
                    name,
                    image: container.image,
                    image_id: container.image_id,
                    state: container.state,
                    labels: labels.into_iter().collect(),
                    created: container.created,
                })
        })
        .collect();
    listed.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    Ok(listed)
}

pub(super) async fn inspect(opened: Opened, name: String) -> Result<Option<String>, CapError> {
    opened
        .container(&name)
        .map_err(|denied| opened.session.deny(denied))?;
    let _place = opened.session.budget()?;
    let found = opened
        .engine
        .inspect_container(&name)
        .await
        .map_err(failed)?;
    Ok(found.map(|description| withheld(&opened.session.run, description)))
}

pub(super) async fn inspect_image(
    opened: Opened,
    reference: String,
) -> Result<Option<String>, CapError> {
    if !reference.starts_with("sha256:") {
        opened
            .session
            .grants
            .covers_image(&reference)
            .map_err(|denied| opened.session.deny(denied))?;
    }
    let _place = opened.session.budget()?;
    let found = opened
        .engine
        .inspect_image(&reference)
        .await
        .map_err(failed)?;
    Ok(found.map(|description| withheld(&opened.session.run, description)))
}

pub(super) async fn images(opened: Opened, labels: Labels) -> Result<Vec<ImageSummary>, CapError> {
    let _place = opened.session.budget()?;
    let found = opened
        .engine
        .images(&label_filters(&labels))
        .await
        .map_err(failed)?;
    let granted = |reference: &String| opened.session.grants.covers_image(reference).is_ok();
    Ok(found
        .into_iter()
        .filter(|image| image.tags.is_empty() || image.tags.iter().any(granted))
        .map(|image| ImageSummary {
            id: image.id,
            references: image.tags.into_iter().filter(|tag| granted(tag)).collect(),
            labels: sorted(image.labels),
            created: image.created,
        })
        .collect())
}

pub(super) async fn has_image(
    opened: Opened,
    reference: String,
    digest: Vec<Part>,
) -> Result<bool, CapError> {
    opened
        .session
        .grants
        .covers_image(&reference)
        .map_err(|denied| opened.session.deny(denied))?;
    let _place = opened.session.budget()?;
    let digest = opened.session.run.resolve(&digest, Readers::Everybody)?;
    has_digest(&opened.engine, &reference, digest.expose()).await
}

pub(super) async fn mirror(opened: Opened) -> Result<Option<String>, CapError> {
    let _place = opened.session.budget()?;
    opened.engine.mirror().await.map_err(failed)
}

pub(super) async fn network_exists(opened: Opened, name: String) -> Result<bool, CapError> {
    opened
        .session
        .grants
        .covers_network(&name)
        .map_err(|denied| opened.session.deny(denied))?;
    let _place = opened.session.budget()?;
    opened.engine.network_exists(&name).await.map_err(failed)
}

pub(super) async fn logs(
    opened: Opened,
    name: String,
    wanted: LogLines,
) -> Result<Vec<String>, CapError> {
    opened
        .container(&name)
        .map_err(|denied| opened.session.deny(denied))?;
    let since = wanted.since.as_deref().map(since).transpose()?;
    let _place = opened.session.budget()?;
    let wanted = Logs {
        tail: Some(wanted.tail.unwrap_or(LINES).min(LINES)),
        timestamps: wanted.timestamps,
        since,
    };
    let bytes = opened.engine.logs(&name, wanted).await.map_err(failed)?;
    Ok(opened
        .session
        .run
        .redacted(&bytes)
        .lines()
        .map(str::to_owned)
        .collect())
}

/// Seconds since 1970 of a time back from now (`30m`), or of a number of them.
fn since(text: &str) -> Result<i32, CapError> {
    let expected = || CapError::Other(format!("`{text}` is no time back, such as `30m` or `2h`"));
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(expected)?;
    let unit = match &text[digits..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(expected()),
    };
    let back: u64 = text[..digits].parse().map_err(|_| expected())?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    i32::try_from(now.saturating_sub(back.saturating_mul(unit))).map_err(|_| expected())
}

pub(super) async fn read_file(
    opened: Opened,
    container: String,
    path: String,
) -> Result<Option<String>, CapError> {
    opened
        .session
        .grants
        .covers_read_file(&container, &path)
        .map_err(|denied| opened.session.deny(denied))?;
    let _place = opened.session.budget()?;
    let bytes = opened
        .engine
        .read_file(&container, &path)
        .await
        .map_err(failed)?;
    Ok(bytes.map(|bytes: Vec<u8>| opened.session.run.redacted(&bytes)))
}

fn sorted(labels: impl IntoIterator<Item = (String, String)>) -> Labels {
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_back_is_counted_from_now() {
        let now = since("0s").expect("a time");
        for (text, back) in [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400)] {
            let at = since(text).expect("a time");
            assert!((now - back..=now - back + 5).contains(&at), "{text}");
        }
        assert_eq!(since("1700000000").expect("a time"), 1_700_000_000);
        for text in ["", "soon", "3w", "m"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
