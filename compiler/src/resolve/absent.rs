//! Why there is no such function, and what to do about it.

use super::{Missing, Parts, codes, missing};
use crate::diag::Diag;
use crate::kernel::{BtfId, Error, Kernel, ModuleState, VMLINUX};

pub(super) fn no_match(parts: &Parts<'_>) -> Missing {
    let message = format!("nothing matches `{}`", parts.text);
    missing(Diag::error(&codes::NO_FUNCTION, message, parts.span, ""))
}

/// The attach point as a kprobe, or kretprobe.
pub(super) fn kprobe(parts: &Parts<'_>) -> String {
    let provider = if parts.provider == "fexit" { "kretprobe" } else { "kprobe" };
    format!("{provider}:{}", parts.rest.join(":"))
}

pub(super) fn no_module(parts: &Parts<'_>, kernel: &Kernel, module: &str) -> Missing {
    let diag = |message: String| Diag::error(&codes::NO_MODULE, message, parts.span, "");
    missing(match kernel.module_state(module) {
        ModuleState::Loaded => diag(format!("module `{module}` has no BTF"))
            .note("it was built without CONFIG_DEBUG_INFO_BTF_MODULES, so its types are not known")
            .help(format!("use `{}`", kprobe(parts))),
        ModuleState::BuiltIn => diag(format!("`{module}` is built into the kernel")).help(format!(
            "write `{}:{VMLINUX}:{}`",
            parts.provider,
            parts.rest.last().map_or("", |f| f)
        )),
        ModuleState::Absent => {
            let diag = diag(format!("module `{module}` is not loaded"));
            match crate::types::nearest(module, kernel.module_names()) {
                Some(near) => diag.help(format!("did you mean `{near}`?")),
                None => diag.help(format!(
                    "load it with `modprobe {module}`, or give a folder with its BTF: `--btf DIR`"
                )),
            }
        }
        ModuleState::Unknown => {
            let diag = diag(format!("there is no BTF of module `{module}`"));
            match crate::types::nearest(module, kernel.module_names()) {
                Some(near) => diag.help(format!("did you mean `{near}`?")),
                None => diag.help("put it beside vmlinux's, in the folder given with `--btf`"),
            }
        }
    })
}

pub(super) fn broken_module(parts: &Parts<'_>, error: &Error) -> Diag {
    let diag = Diag::error(&codes::NO_MODULE, error.to_string(), parts.span, "");
    match std::error::Error::source(error) {
        Some(source) => diag.note(source.to_string()),
        None => diag,
    }
}

pub(super) fn no_function(
    parts: &Parts<'_>,
    kernel: &Kernel,
    module: Option<&str>,
    function: &str,
) -> Missing {
    let place = module.map_or(String::new(), |module| format!(" in `{module}`"));
    let diag = |message| Diag::error(&codes::NO_FUNCTION, message, parts.span, "");
    let elsewhere = module.and_then(|_| kernel.functions(function).first().copied());
    if let Some((file, _)) = elsewhere {
        let message = format!("there is no function `{function}`{place}");
        let right = format!("{}:{}:{function}", parts.provider, kernel.name(file));
        return missing(diag(message).help(format!("did you mean `{right}`?")));
    }
    let traceable = kernel.traceable_functions().and_then(|mut all| {
        all.find(|(m, f)| {
            *f == function && module.is_none_or(|module| *m == module || m.is_empty() && module == VMLINUX)
        })
    });
    if traceable.is_some() {
        let message = format!("function `{function}`{place} has no BTF");
        return missing(
            diag(message)
                .note("its prototype is not known: BTF leaves out functions that compilers changed, and names with several prototypes")
                .help(format!("use `{}`", kprobe(parts))),
        );
    }
    let diag = diag(format!("there is no function `{function}`{place}"));
    let file = module.and_then(|module| kernel.find(module).ok().flatten()).unwrap_or(BtfId::VMLINUX);
    let names = kernel.btf(file).find_funcs_matching(|_| true).map(|(_, name)| name);
    missing(match crate::types::nearest(function, names) {
        Some(near) => diag.help(format!("did you mean `{near}`?")),
        None => diag,
    })
}
