//! `freehold license add`.

use freehold_protocol::time::Timestamp;

use crate::{
    api::{
        licenses::{CreateLicense, Differences, LicenseCreated},
        paths,
    },
    cli::{
        context::Ctx,
        customer,
        error::CliError,
        output::clean,
        parse::{Count, count, counts, moment},
    },
    exit::Exit,
};

/// How a license differs from its plan.
#[derive(Debug, clap::Args)]
pub(crate) struct DifferenceArgs {
    /// A product beyond the plan's, repeatable
    #[arg(long, value_name = "NAME", help_heading = "Differences from the plan")]
    add_product: Vec<String>,
    /// A product of the plan that it lacks, repeatable
    #[arg(long, value_name = "NAME", help_heading = "Differences from the plan")]
    without_product: Vec<String>,
    /// A feature beyond the plan's, repeatable
    #[arg(long, value_name = "NAME", help_heading = "Differences from the plan")]
    add_feature: Vec<String>,
    /// A feature of the plan that it lacks, repeatable
    #[arg(long, value_name = "NAME", help_heading = "Differences from the plan")]
    without_feature: Vec<String>,
    /// A limit instead of the plan's, repeatable; also maxUsers and maxApiKeys
    #[arg(long = "limit", value_name = "NAME=N", value_parser = count,
          help_heading = "Differences from the plan")]
    limits: Vec<Count>,
}

impl DifferenceArgs {
    /// As the portal takes them.
    pub(crate) fn read(&self) -> Result<Differences, CliError> {
        Ok(Differences {
            products_added: self.add_product.clone(),
            products_removed: self.without_product.clone(),
            features_added: self.add_feature.clone(),
            features_removed: self.without_feature.clone(),
            limits: counts(&self.limits)?,
        })
    }
}

/// Make a license; its key is shown at the end
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license add --customer acme --plan pro --expires 2027-12-31
  freehold license add --customer acme --plan pro --add-feature api --limit maxUsers=40")]
pub(crate) struct Args {
    /// The customer's identifier or organization id
    #[arg(long)]
    customer: String,
    /// The plan
    #[arg(long)]
    plan: String,
    /// When its time is over: a day (its end, UTC) or a time (RFC 3339); never when left out
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    differences: DifferenceArgs,
}

/// Makes it and prints its key.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let body = CreateLicense {
        customer: customer::find(&client, &args.customer)?.id.to_string(),
        plan: args.plan.clone(),
        overrides: args.differences.read()?,
        expires_at: args.expires.map(Timestamp::as_millis),
    };
    let created: LicenseCreated = client.post(paths::LICENSES, Some(&body))?;
    if ctx.json {
        ctx.document(&created)?;
        return Ok(Exit::Ok);
    }
    let license = &created.license;
    ctx.note(format_args!(
        "License {} of {} ({}); give it to a tenant with --license. Its key:",
        license.id,
        clean(&license.customer_name),
        license.plan
    ));
    // Alone on standard output, so that it can be redirected into a file.
    ctx.line(clean(&created.key))?;
    Ok(Exit::Ok)
}
