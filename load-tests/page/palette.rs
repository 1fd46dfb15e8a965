//! The colors of plots. SVG is drawn in those of a light page; a style sheet puts those of a dark one in their place.

use plotters::style::RGBColor;

/// One color, as it is on a light page and on a dark one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// What is drawn; no two tones have the same.
    pub light: RGBColor,
    /// What is shown instead where the reader's page is dark.
    pub dark: RGBColor,
}

/// Text.
pub const INK: Tone = tone((31, 35, 40), (230, 237, 243));
/// Text beside axes.
pub const MUTED: Tone = tone((89, 99, 110), (145, 152, 161));
/// Lines of the grid.
pub const GRID: Tone = tone((217, 222, 227), (48, 54, 61));
/// One run; is seen on the bar and beside it.
pub const DOT: Tone = tone((10, 37, 64), (240, 246, 252));
/// What something simpler does.
pub const CEILING: Tone = tone((188, 196, 205), (87, 96, 106));
/// What is compared, in this order; told apart by those who see few colors, too.
pub const SERIES: [Tone; 8] = [
    tone((47, 129, 199), (74, 163, 232)),
    tone((213, 94, 0), (240, 136, 62)),
    tone((0, 150, 110), (46, 194, 151)),
    tone((170, 90, 160), (214, 140, 204)),
    tone((214, 150, 0), (236, 190, 77)),
    tone((86, 180, 233), (150, 210, 245)),
    tone((120, 80, 40), (190, 150, 110)),
    tone((110, 110, 110), (170, 170, 170)),
];

const fn tone(light: (u8, u8, u8), dark: (u8, u8, u8)) -> Tone {
    Tone { light: RGBColor(light.0, light.1, light.2), dark: RGBColor(dark.0, dark.1, dark.2) }
}

/// The color of a series; after the last one the first comes again.
pub fn series(number: usize) -> Tone {
    SERIES.into_iter().cycle().nth(number % SERIES.len()).unwrap_or(INK)
}

/// All of them, by the name of their class.
fn all() -> impl Iterator<Item = (String, Tone)> {
    let named = [("ink", INK), ("muted", MUTED), ("grid", GRID), ("dot", DOT), ("ceiling", CEILING)];
    let series = SERIES.into_iter().enumerate().map(|(number, tone)| (format!("s{number}"), tone));
    named.into_iter().map(|(name, tone)| (name.to_owned(), tone)).chain(series)
}

/// The class that a sample of a color has in a legend.
pub fn class(tone: Tone) -> String {
    all().find(|(_, known)| *known == tone).map_or_else(|| "ink".to_owned(), |(name, _)| name)
}

/// As SVG writes it.
fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Rules that give samples of legends their color, and what is drawn its color on a dark page.
pub fn css() -> String {
    let (mut light, mut dark) = (String::new(), String::new());
    for (name, tone) in all() {
        let (drawn, shown) = (hex(tone.light), hex(tone.dark));
        light += &format!("i.{name}{{background:{drawn}}}\n");
        dark += &format!(
            "i.{name}{{background:{shown}}}\nsvg [fill=\"{drawn}\"]{{fill:{shown}}}\nsvg [stroke=\"{drawn}\"]{{stroke:{shown}}}\n"
        );
    }
    format!("{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n")
}
