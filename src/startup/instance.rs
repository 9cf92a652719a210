//! This instance: its name, its labels, and the id of its data folder.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StartError;
use crate::config::ServeArgs;
use crate::model::Timestamp;
use crate::model::workers::{InstanceRole, NewInstance};
use crate::pipelines::Projects;

/// The file with the id of a data folder. It outlives the instance: runs that wait for an approval continue where their
/// files are.
const ID_FILE: &str = "folder-id";

/// Describes this instance.
///
/// # Errors
/// [`StartError::DataDir`]: the data folder cannot be given an id. [`StartError::WorkerWithoutSlots`].
pub fn describe(
    args: &ServeArgs,
    role: InstanceRole,
    projects: &Projects,
    data_dir: &Path,
) -> Result<NewInstance, StartError> {
    if role == InstanceRole::Worker && args.workers == 0 {
        return Err(StartError::WorkerWithoutSlots);
    }
    let data_folder =
        read_or_create_id(data_dir).map_err(|source| StartError::DataDir { folder: data_dir.to_owned(), source })?;
    let id = random_id();
    let name = args.name.clone().unwrap_or_else(host_name);
    let short = id.get(28..).unwrap_or_default();
    let mut labels = args.label.clone();
    labels.sort();
    labels.dedup();
    Ok(NewInstance {
        owner: format!("worker {}@{name} ({short})", std::process::id()),
        id,
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role,
        data_folder,
        labels,
        projects: projects.roots().to_vec(),
        slots: u32::try_from(args.workers).unwrap_or(u32::MAX),
        started_at: Timestamp::now(),
    })
}

fn random_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The id of the data folder, created if there is none yet. Only one program uses the folder.
fn read_or_create_id(data_dir: &Path) -> io::Result<String> {
    let file = data_dir.join(ID_FILE);
    match std::fs::read_to_string(&file) {
        Ok(id) if uuid::Uuid::try_parse(id.trim()).is_ok() => return Ok(id.trim().to_owned()),
        // A crash may have left it empty.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = random_id();
    let mut created = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&file)?;
    created.write_all(format!("{id}\n").as_bytes())?;
    created.sync_all()?;
    Ok(id)
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_folder_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let first = read_or_create_id(folder.path()).unwrap();
        assert_eq!(read_or_create_id(folder.path()).unwrap(), first);
        std::fs::write(folder.path().join(ID_FILE), "").unwrap();
        let second = read_or_create_id(folder.path()).unwrap();
        assert_ne!(second, first);
        assert_eq!(read_or_create_id(folder.path()).unwrap(), second);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(read_or_create_id(other.path()).unwrap(), second);
    }
}
