//! Whom encrypted connections trust, as the user's environment says.

use host::Authorities;

use crate::report::Report;

/// Names a file of certificates to trust instead of the built-in ones, as for OpenSSL and curl.
pub(crate) const VARIABLE: &str = "SSL_CERT_FILE";

/// Whom this user trusts for encrypted connections.
pub(crate) fn trusted() -> Result<Authorities, Report> {
    Ok(named_by(VARIABLE)?.unwrap_or_default())
}

/// Those whose certificates are in the file that an environment variable names, if it names one.
pub(crate) fn named_by(variable: &str) -> Result<Option<Authorities>, Report> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let cannot = |cause: &dyn std::fmt::Display| {
        let report = Report::usage(format!("cannot trust the certificates in `{}`", path.display()));
        report.cause(cause).hint(format!("`{variable}` names a file in PEM form, or nothing"))
    };
    let text = std::fs::read(&path).map_err(|error| cannot(&error))?;
    Authorities::from_pem(&text).map(Some).map_err(|error| cannot(&error))
}
