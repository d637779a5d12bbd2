//! The settings of files that come with requests.

use std::path::PathBuf;

use super::check::{Checker, dns_name, url_of};

/// Where the files of requests are, and how large they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Where they are.
    pub place: Place,
    /// Bytes of one.
    pub most_of_file: usize,
    /// Files of a mail.
    pub most_of_mail: usize,
    /// Bytes of all those of a request.
    pub most_of_request: i64,
}

/// Where files are: for all processes of an installation the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the folder `attachments` of the data directory.
    DataDir,
    /// In a folder of their own.
    Folder(PathBuf),
    /// In a store that speaks S3.
    Bucket(Bucket),
}

/// A bucket of a store that speaks S3, and how one gets into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the names of the files in it begin with; it may be empty.
    pub folder: String,
    /// The address of the store; `None` is Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The id of the key, and the key; `None` is that of the machine's role.
    pub key: Option<(String, String)>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.folder)
    }
}

/// The texts of these settings.
pub struct GivenFiles {
    pub place: Option<String>,
    pub most_of_file: Option<String>,
    pub most_of_mail: Option<String>,
    pub most_of_request: Option<String>,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub key_id: Option<String>,
    pub key: Option<String>,
}

impl Checker<'_> {
    /// Where the files of requests are, and how large they may be.
    pub fn files_of_requests(&mut self, given: GivenFiles) -> Files {
        let key = self.key(given.key_id, given.key);
        let endpoint = self.take(
            ("s3-endpoint", "AWS_ENDPOINT_URL"),
            given.endpoint,
            None,
            "a URL that begins with http:// or https://",
            |text| url_of(&["http", "https"])(text).map(Some),
        );
        let region = self.take(
            ("s3-region", "AWS_REGION"),
            given.region,
            "us-east-1".to_owned(),
            "a region, such as `eu-central-1`",
            |text| dns_name(text).filter(|name| name == text),
        );
        let place = self.take(
            ("attachments", "ALLCLEAR_ATTACHMENTS"),
            given.place,
            Place::DataDir,
            "a folder, or a bucket such as `s3://desk-files` or `s3://files/desk`",
            |text| place(text, (endpoint, region, key)),
        );
        let of_file = ("attachment-limit", "ALLCLEAR_ATTACHMENT_LIMIT");
        let of_mail = ("attachments-per-mail", "ALLCLEAR_ATTACHMENTS_PER_MAIL");
        let of_request = ("attachments-per-request", "ALLCLEAR_ATTACHMENTS_PER_REQUEST");
        let megabytes = self.number(of_file, given.most_of_file, 10, 1000);
        let files = self.number(of_mail, given.most_of_mail, 20, 20);
        let all = self.number(of_request, given.most_of_request, 100, 100_000);
        Files {
            place,
            most_of_file: usize::try_from(megabytes).unwrap_or(10).saturating_mul(1_000_000),
            most_of_mail: usize::try_from(files).unwrap_or(20),
            most_of_request: i64::from(all).saturating_mul(1_000_000),
        }
    }

    /// The id of a key and the key, both or neither.
    fn key(&mut self, id: Option<String>, key: Option<String>) -> Option<(String, String)> {
        match (id, key) {
            (Some(id), Some(key)) => Some((id, key)),
            (None, None) => None,
            (Some(id), None) => {
                let name = ("s3-access-key-id", "AWS_ACCESS_KEY_ID");
                self.alone(name, id, "s3-secret-access-key")
            }
            (None, Some(_)) => {
                let name = ("s3-secret-access-key", "AWS_SECRET_ACCESS_KEY");
                self.alone(name, "…".to_owned(), "s3-access-key-id")
            }
        }
    }
}

/// A URL of S3, or else a folder.
fn place(
    text: &str,
    (endpoint, region, key): (Option<String>, String, Option<(String, String)>),
) -> Option<Place> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(Place::Folder(text.into()));
    };
    let (name, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket = Bucket {
        name: name.to_owned(),
        folder: folder.trim_matches('/').to_owned(),
        endpoint,
        region,
        key,
    };
    (scheme == "s3" && !name.is_empty()).then_some(Place::Bucket(bucket))
}
