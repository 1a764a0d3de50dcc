//! `starling cert`: an authority for development and small installations.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

use super::clock;
use super::exit::Exit;
use super::output::Output;
use crate::authority::{Authority, CA_CERTIFICATE, CertificateFiles, Validity};
use starling::transport::Principal;

/// Certificates.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CertCommand {
    /// Make an authority, and with it the id of a new cluster.
    Ca {
        #[command(flatten)]
        place: Place,
        /// How long it is valid.
        #[arg(long, default_value_t = 3650)]
        days: u32,
    },
    /// Make a certificate for each of these nodes, with a new random node id.
    Node {
        /// Names of the files: NAME.pem and NAME.key.
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        place: Place,
        /// How long they are valid.
        #[arg(long, default_value_t = 825)]
        days: u32,
    },
    /// Make a certificate for a program, or with --admin for a person or tool.
    Client {
        /// Its name in the cluster, and of the files.
        name: String,
        /// For a person or a tool. In this version it may do what that of a program may.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        place: Place,
        /// How long it is valid.
        #[arg(long, default_value_t = 825)]
        days: u32,
    },
    /// Who a certificate is for.
    Show {
        /// The certificate, PEM.
        file: PathBuf,
    },
}

/// Where certificates lie.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// The directory of the authority and of what it signs.
    #[arg(short, long, default_value = "certs", value_name = "DIR")]
    directory: PathBuf,
}

impl CertCommand {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<Exit> {
        let now = clock::wall();
        match self {
            Self::Ca { place, days } => {
                let authority = Authority::create(Validity::days(now, days))?;
                let files = authority.save(&place.directory)?;
                let principal = principal_of(&place.directory.join(CA_CERTIFICATE))?;
                made(&principal, &files, output)?;
            }
            Self::Node { names, place, days } => {
                let authority = Authority::load(&place.directory)?;
                for name in names {
                    let issued = authority.issue_node(Validity::days(now, days))?;
                    let files = issued.save(&place.directory, &name)?;
                    made(&issued.principal, &files, output)?;
                }
            }
            Self::Client {
                name,
                admin,
                place,
                days,
            } => {
                let authority = Authority::load(&place.directory)?;
                let validity = Validity::days(now, days);
                let issued = if admin {
                    authority.issue_admin(&name, validity)?
                } else {
                    authority.issue_client(&name, validity)?
                };
                let files = issued.save(&place.directory, &name)?;
                made(&issued.principal, &files, output)?;
            }
            Self::Show { file } => {
                let principal = principal_of(&file)?;
                if output.is_json() {
                    output.json(&principal_json(&principal))?;
                } else {
                    output.line(format_args!("cluster {}", principal.cluster))?;
                    output.line(&principal.role)?;
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// Who the certificate in a PEM file is for; its key is not needed.
pub(crate) fn principal_of(file: &Path) -> anyhow::Result<Principal> {
    let certificate = CertificateDer::from_pem_file(file)
        .map_err(|error| anyhow::anyhow!("{} is no certificate: {error}", file.display()))?;
    Ok(Principal::from_certificate(&certificate)?)
}

fn made(principal: &Principal, files: &CertificateFiles, output: Output) -> anyhow::Result<()> {
    let (certificate, key) = (files.certificate.display(), files.private_key.display());
    if output.is_json() {
        let mut value = principal_json(principal);
        value["certificate"] = json!(certificate.to_string());
        value["private_key"] = json!(key.to_string());
        output.json(&value)?;
    } else {
        output.line(format_args!("{}   {certificate}   {key}", principal.role))?;
    }
    Ok(())
}

fn principal_json(principal: &Principal) -> serde_json::Value {
    json!({
        "v": 1,
        "cluster": principal.cluster.to_string(),
        "role": principal.role.to_string(),
    })
}
