// What every page of the console has: the name of its workspace, forms that are sent once, appearance, navigation drawer,
// menus, dialogs, palette, copying, toasts.
import "./workspace.js";
import "./once.js";
import "./theme.js";
import "./drawer.js";
import "./menus.js";
import "./dialogs.js";
import "./palette.js";
import "./copy.js";
import "./toasts.js";
