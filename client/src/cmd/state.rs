//! `state inspect|verify LOCATION`.

use kol_common::KolError;
use kol_common::checkpoint::snapshot::{self, MANIFEST};
use kol_common::checkpoint::{DAMAGED, Stores};
use kol_common::proto::{Manifest, Snapshot};
use kol_common::view;
use serde_json::{Value, json};

use crate::state::{Verified, verify};
use crate::{Context, print, render};

/// Arguments of `kol-client state`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show what a savepoint or a job's folder of checkpoints holds.
    Inspect(Place),
    /// Read every file, and show whether all of it is undamaged.
    Verify(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The folder, as file:///PATH, s3://BUCKET/PATH or a path; one that holds several is listed.
    location: String,
}

/// Prints what a folder of state files holds, or whether all of it is undamaged.
///
/// # Errors
/// The folder does not exist or has no manifest, or something in it is damaged.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    match args.what {
        What::Inspect(place) => {
            let location = place.url()?;
            match snapshot::read(&ctx.stores, &location).await {
                Ok(snapshot) => show(&location, &snapshot, ctx)?,
                Err(error) if error.code == "SAVEPOINT_NOT_FOUND" => {
                    let found = below(&ctx.stores, &location).await?;
                    if found.is_empty() {
                        return Err(error.into());
                    }
                    list(&found, ctx)?;
                }
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }
        What::Verify(place) => {
            let location = place.url()?;
            let manifest = snapshot::read(&ctx.stores, &location)
                .await?
                .manifest
                .unwrap_or_default();
            let verified = verify(&ctx.stores, &manifest).await?;
            report(&location, &verified, ctx)
        }
    }
}

impl Place {
    /// As a URL; a path is made absolute.
    fn url(&self) -> Result<String, KolError> {
        if self.location.contains("://") {
            return Ok(self.location.clone());
        }
        let wrong = |e: std::io::Error| {
            KolError::user("CHECKPOINT_LOCATION", format!("`{}`: {e}", self.location))
        };
        let path = std::path::absolute(&self.location).map_err(wrong)?;
        Ok(format!("file://{}", path.display()))
    }
}

/// Folders with a manifest file below a location that has none itself.
async fn below(stores: &Stores, location: &str) -> Result<Vec<(String, Snapshot)>, KolError> {
    let files = stores.existing(location).await?.list("").await?;
    let mut found = Vec::new();
    for (path, _) in files {
        if let Some(folder) = path
            .strip_suffix(MANIFEST)
            .and_then(|p| p.strip_suffix('/'))
        {
            let folder = format!("{}/{folder}", location.trim_end_matches('/'));
            let snapshot = snapshot::read(stores, &folder).await?;
            found.push((folder, snapshot));
        }
    }
    Ok(found)
}

fn show(location: &str, snapshot: &Snapshot, ctx: &Context) -> std::io::Result<()> {
    let none = Manifest::default();
    let manifest = snapshot.manifest.as_ref().unwrap_or(&none);
    if ctx.json() {
        print::json(&snapshot_json(location, snapshot, manifest))?;
    } else {
        print::text(&render::state::details(location, snapshot, manifest))?;
    }
    Ok(())
}

fn list(found: &[(String, Snapshot)], ctx: &Context) -> std::io::Result<()> {
    let manifests = found
        .iter()
        .filter_map(|(folder, s)| Some((folder.as_str(), s.manifest.as_ref()?)));
    if ctx.json() {
        let views = manifests.map(|(folder, m)| folder_json(folder, m));
        print::json(&Value::from_iter(views))?;
    } else {
        print::text(&render::state::list(manifests))?;
    }
    Ok(())
}

fn report(location: &str, verified: &[Verified], ctx: &Context) -> anyhow::Result<()> {
    if ctx.json() {
        print::json(&Value::from_iter(verified.iter().map(verified_json)))?;
    } else {
        print::text(&render::state::verified(verified))?;
    }
    let damaged = verified.iter().filter(|v| v.damage.is_some()).count();
    if damaged == 0 {
        return Ok(());
    }
    let what = format!(
        "{damaged} of {} partitions in {location} are damaged",
        verified.len()
    );
    Err(KolError::external(DAMAGED, what)
        .help("Use another savepoint, or start without state from the log.")
        .into())
}

/// A folder with its spec.
pub(crate) fn snapshot_json(location: &str, snapshot: &Snapshot, manifest: &Manifest) -> Value {
    let mut view = view::checkpoint_json(manifest);
    view["location"] = json!(location);
    view["job_id"] = json!(manifest.job_id);
    view["job_name"] = json!(manifest.job_name);
    view["version"] = json!(snapshot.version);
    view["spec"] = serde_json::from_str(&snapshot.spec_json).unwrap_or(Value::Null);
    view
}

/// A folder in a list.
pub(crate) fn folder_json(folder: &str, manifest: &Manifest) -> Value {
    json!({
        "location": folder,
        "job_id": manifest.job_id,
        "job_name": manifest.job_name,
        "epoch": manifest.epoch,
        "begun_ms": manifest.begun_ms,
    })
}

/// What became of a partition's files.
pub(crate) fn verified_json(verified: &Verified) -> Value {
    json!({
        "topic": verified.partition.topic,
        "partition": verified.partition.partition,
        "files": verified.files,
        "bytes": verified.bytes,
        "kols": verified.kols,
        "entities": verified.entities,
        "damage": verified.damage.as_ref().map(|e| &e.message),
    })
}
