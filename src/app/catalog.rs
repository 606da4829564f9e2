//! `catalog`: what must be allowed, as a list or as a firewall wants it pasted.

use std::io::{self, Write};

use anyhow::{Result, anyhow};

use super::{knowledge, product_id};
use crate::changes::Texts;
use crate::changes::firewall::{Dialect, Wanted, sheet};
use crate::classify::catalog;
use crate::cli::{CatalogArgs, CatalogFormat};

pub(super) fn catalog(args: &CatalogArgs) -> Result<()> {
    let base = knowledge(args.catalogue.as_ref(), None, args.product)?;
    let product = args.product.map(product_id);
    let spelled = |dialect: Dialect| -> Result<String> {
        let texts = Texts::embedded()?;
        let firewall = texts.firewalls.iter().find(|firewall| firewall.id == dialect);
        let firewall = firewall.ok_or_else(|| anyhow!("there is no such firewall"))?;
        Ok(sheet(firewall, &Wanted::all(&base.catalogue, product), &texts))
    };
    let text = match args.format {
        CatalogFormat::Text => catalog::text(&base.catalogue, product),
        CatalogFormat::Json => {
            let json = catalog::json(&base.catalogue, product);
            format!("{}\n", serde_json::to_string_pretty(&json).map_err(io::Error::from)?)
        }
        CatalogFormat::PaloAlto => spelled(Dialect::PaloAlto)?,
        CatalogFormat::Fortigate => spelled(Dialect::Fortigate)?,
        CatalogFormat::Squid => spelled(Dialect::Squid)?,
        CatalogFormat::CiscoWsa => spelled(Dialect::CiscoWsa)?,
        CatalogFormat::PfSense => spelled(Dialect::PfSense)?,
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush().map_err(Into::into)
}
