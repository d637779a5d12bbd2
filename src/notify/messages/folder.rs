//! The operator's own templates: a folder with files of the same names as those that come with the program.

use std::collections::BTreeMap;
use std::path::Path;

use super::mistakes::{BadTemplate, BadTemplates};

/// A file that is longer is a mistake.
const LONGEST: u64 = 1 << 20;

/// The files in a folder and in those below it, by their names in it. Each has a name that is known, since any other is
/// a slip that would go unnoticed. What begins with a dot is none of ours: a mounted folder has such files.
pub fn read(
    folder: &Path,
    is_known: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, BadTemplates> {
    let mut found = BTreeMap::new();
    let mut bad = Vec::new();
    walk(folder, "", &mut |name, path| {
        if !is_known(name) {
            bad.push(BadTemplate::new(
                name,
                None,
                "there is no template of this name to replace",
            ));
            return;
        }
        match text(path) {
            Ok(text) => {
                found.insert(name.to_owned(), text);
            }
            Err(error) => bad.push(BadTemplate::new(name, None, &error.to_string())),
        }
    })
    .map_err(|error| {
        let what = format!("the folder cannot be read: {error}");
        BadTemplates(vec![BadTemplate::new(&folder.to_string_lossy(), None, &what)])
    })?;
    bad.sort_by_key(ToString::to_string);
    if bad.is_empty() {
        Ok(found)
    } else {
        Err(BadTemplates(bad))
    }
}

fn walk(folder: &Path, under: &str, take: &mut dyn FnMut(&str, &Path)) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let (name, path) = (format!("{under}{name}"), entry.path());
        // A link is what it leads to.
        if std::fs::metadata(&path)?.is_dir() && under.is_empty() {
            walk(&path, &format!("{name}/"), take)?;
        } else {
            take(&name, &path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LONGEST {
        return Err(std::io::Error::other("it is longer than a mebibyte"));
    }
    std::fs::read_to_string(path)
}
