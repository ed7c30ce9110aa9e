//! The page that browsers get.

/// One file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) mime: &'static str,
    pub(crate) text: &'static str,
}

pub(crate) const ASSETS: &[Asset] = &[
    Asset {
        path: "/",
        mime: "text/html; charset=utf-8",
        text: include_str!("../page/index.html"),
    },
    Asset {
        path: "/page.css",
        mime: "text/css; charset=utf-8",
        text: include_str!("../page/page.css"),
    },
    Asset {
        path: "/page.js",
        mime: "text/javascript; charset=utf-8",
        text: include_str!("../page/page.js"),
    },
    Asset {
        path: "/upload.js",
        mime: "text/javascript; charset=utf-8",
        text: include_str!("../page/upload.js"),
    },
];
