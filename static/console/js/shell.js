// What every page of the console has: appearance, navigation drawer, menus, dialogs, palette, copying, toasts.
import "./theme.js";
import "./drawer.js";
import "./menus.js";
import "./dialogs.js";
import "./palette.js";
import "./copy.js";
import "./toasts.js";
