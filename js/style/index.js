import "@xyflow/react/dist/base.css";
import "./tokens.css";
import "./canvas.css";
import "./editing.css";
import "./trace.css";
import "./jupyter.css";
