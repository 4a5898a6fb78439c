// The playground's scripts: the form, runs as they are drawn, the picture to start from, comparing, sharing.
import "./refusals.js";
import "./form.js";
import "./runs.js";
import "./start.js";
import "./mask.js";
import "./compare.js";
import "./share.js";
