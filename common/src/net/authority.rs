//! The certificate authority of a first cluster. Who has an authority of their own uses that: what processes
//! read is in [`Credentials`](super::Credentials).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use super::random::{hex, random, unhex};
use crate::KolError;
use crate::time::Millis;

/// File with the authority's certificate.
const CERTIFICATE: &str = "ca.crt";
/// File with its key.
const KEY: &str = "ca.key";
/// How long the authority is valid, and how long before now everything is: clocks of hosts differ.
const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
const BEFORE: Duration = Duration::from_secs(3_600);
/// Bytes of a serial number.
const SERIAL: usize = 16;

/// Signs the certificates of a cluster with a key of its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate(now: Millis) -> Result<Self, KolError> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params();
        limit(&mut params, now, YEARS);
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// One that [`Authority::write`] wrote.
    ///
    /// # Errors
    /// `CERTS`: its files are missing or are not what they should be.
    pub fn read(folder: &Path) -> Result<Self, KolError> {
        let file = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(|e| unusable(folder, &e.to_string()))
        };
        let key = KeyPair::from_pem(&file(KEY)?);
        // The parser's errors may repeat what it read.
        let key = key.map_err(|_| unusable(folder, "ca.key is not a private key in PEM"))?;
        Ok(Self {
            issuer: Issuer::new(params(), key),
            certificate: file(CERTIFICATE)?,
        })
    }

    /// Writes certificate and key. Whoever has the key is whoever they want to be.
    ///
    /// # Errors
    /// `CERTS`: the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), KolError> {
        write_secret(&folder.join(CERTIFICATE), &self.certificate)?;
        write_secret(&folder.join(KEY), &self.issuer.key().serialize_pem())
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Writes what a process with these names and addresses needs into its folder, for servers and clients; valid
    /// from now on. Answers the serial number, by which the certificate can be revoked.
    ///
    /// # Errors
    /// `CERTS`: a name that cannot stand in a certificate; the folder cannot be written.
    pub fn equip(
        &self,
        folder: &Path,
        names: &[&str],
        now: Millis,
        valid: Duration,
    ) -> Result<String, KolError> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params_of(names, now, valid)?;
        let mut serial: [u8; SERIAL] = random()?;
        // A positive number without leading zeros.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        write_secret(&folder.join(CERTIFICATE), &self.certificate)?;
        write_secret(&folder.join("tls.crt"), &certificate.pem())?;
        write_secret(&folder.join("tls.key"), &key.serialize_pem())?;
        Ok(hex(&serial))
    }

    /// A list of certificates that are no longer valid, by their serial numbers; PEM.
    ///
    /// # Errors
    /// `CERTS`: a malformed number.
    pub fn revoke(&self, serials: &[&str], now: Millis) -> Result<String, KolError> {
        let this_update = time(now) - BEFORE;
        let revoked = |serial: &&str| {
            let number: [u8; SERIAL] = unhex(serial).ok_or_else(|| {
                KolError::user("CERTS", "a serial number is not one that was issued")
            })?;
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&number),
                revocation_time: this_update,
                reason_code: None,
                invalidity_date: None,
            })
        };
        let list = CertificateRevocationListParams {
            this_update,
            next_update: this_update + YEARS,
            crl_number: SerialNumber::from(now.0),
            issuing_distribution_point: None,
            revoked_certs: serials
                .iter()
                .map(revoked)
                .collect::<Result<_, KolError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).map_err(failed)?;
        list.pem().map_err(failed)
    }
}

fn params_of(names: &[&str], now: Millis, valid: Duration) -> Result<CertificateParams, KolError> {
    let all: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(all).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    let first = names.first().copied().unwrap_or("kol");
    params.distinguished_name.push(DnType::CommonName, first);
    limit(&mut params, now, valid);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never its key.
        f.write_str("Authority")
    }
}

/// Writes a file that only its owner may read, by a rename: whoever reads it sees all of it.
///
/// # Errors
/// `CERTS`: it cannot be written.
pub fn write_secret(path: &Path, text: &str) -> Result<(), KolError> {
    let written = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let beside = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    written().map_err(|e: std::io::Error| {
        let what = format!("cannot write {}: {e}", path.display());
        KolError::external("CERTS", what).help("Name another folder.")
    })
}

/// What the authority's certificate says; its name and key are all that signing needs of it.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "KOL cluster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn limit(params: &mut CertificateParams, now: Millis, valid: Duration) {
    params.not_before = time(now) - BEFORE;
    params.not_after = time(now) + valid;
}

fn time(now: Millis) -> OffsetDateTime {
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(now.0)
}

fn unusable(folder: &Path, why: &str) -> KolError {
    let what = format!("no certificate authority in {}: {why}", folder.display());
    KolError::user("CERTS", what).help("kol-client certs init DIR makes one.")
}

fn failed(error: rcgen::Error) -> KolError {
    KolError::user("CERTS", format!("no certificate could be made: {error}"))
        .help("Names are host names or addresses.")
}
