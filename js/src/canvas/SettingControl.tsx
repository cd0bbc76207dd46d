import { type ReactElement, useEffect, useId, useState } from "react";
import type { Json, Setting } from "../model/flow";
import { readTyped } from "../model/values";
import { oneLine, sameJson, settingDefault, settingValue, shownValue } from "../model/wording";

interface ControlProps {
  readonly setting: Setting;
  readonly id: string;
  /** Absent where nobody would answer: the control then only shows. */
  readonly onSet: ((value: Json) => void) | undefined;
  /** A gesture is over: the slider was let go. */
  readonly onSettle?: (() => void) | undefined;
  /** What was typed is no value, and why. */
  readonly onWrong?: ((why: string) => void) | undefined;
}

/** One setting as a compact row: label, control, value. */
export function SettingRow(props: Omit<ControlProps, "id">): ReactElement {
  const { setting } = props;
  const id = useId();
  const label = oneLine(setting.label);
  const value = settingDefault(setting);
  const title = [label, oneLine(setting.help), settingValue(setting), value].filter(Boolean).join(" · ");
  return (
    <div className="fb-setting nodrag nopan" title={title} data-fb-setting={setting.name}>
      <label className="fb-setting-label" htmlFor={id}>
        {label}
      </label>
      <div className="fb-setting-control">
        {setting.connected ? (
          <span className="fb-setting-fed" id={id}>
            from an edge
          </span>
        ) : (
          <Control {...props} id={id} />
        )}
      </div>
    </div>
  );
}

function Control(props: ControlProps): ReactElement {
  switch (props.setting.control) {
    case "slider":
      return isBounded(props.setting) ? <Slider {...props} /> : <Field {...props} />;
    case "switch":
      return <Switch {...props} />;
    case "select":
      return <Select {...props} />;
    default:
      return <Field {...props} />;
  }
}

interface Bounded extends Setting {
  readonly min: number;
  readonly max: number;
}

function isBounded(setting: Setting): setting is Bounded {
  return setting.min !== null && setting.max !== null && setting.max > setting.min;
}

function Slider({ setting, id, onSet, onSettle }: ControlProps): ReactElement {
  const { min, max } = setting as Bounded;
  const value = typeof setting.value === "number" ? setting.value : min;
  const isWhole = [min, max, value].every(Number.isInteger);
  const step = setting.step ?? (isWhole ? 1 : (max - min) / 100);
  const share = Math.min(Math.max((value - min) / (max - min), 0), 1);
  return (
    <>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        disabled={!onSet}
        aria-valuetext={settingValue(setting)}
        style={{ ["--fb-share" as string]: share }}
        onChange={(event) => onSet?.(event.currentTarget.valueAsNumber)}
        onPointerUp={onSettle}
        onKeyUp={onSettle}
        onBlur={onSettle}
      />
      <span className="fb-setting-value">{settingValue(setting)}</span>
    </>
  );
}

function Switch({ setting, id, onSet, onSettle }: ControlProps): ReactElement {
  return (
    <>
      <span className="fb-setting-default">{shownValue(setting.value)}</span>
      <span className="fb-switch">
        <input
          id={id}
          type="checkbox"
          role="switch"
          aria-checked={setting.value === true}
          checked={setting.value === true}
          disabled={!onSet}
          onChange={(event) => {
            onSet?.(event.currentTarget.checked);
            onSettle?.();
          }}
        />
      </span>
    </>
  );
}

function Select({ setting, id, onSet, onSettle }: ControlProps): ReactElement {
  const known = setting.options.findIndex((option) => sameJson(option, setting.value));
  const options = known < 0 ? [setting.value, ...setting.options] : setting.options;
  return (
    <select
      id={id}
      value={Math.max(known, 0)}
      disabled={!onSet}
      onChange={(event) => {
        onSet?.(options[Number(event.currentTarget.value)] ?? null);
        onSettle?.();
      }}
    >
      {options.map((option, index) => (
        <option key={JSON.stringify(option)} value={index}>
          {shownValue(option)}
        </option>
      ))}
    </select>
  );
}

/** A field for anything that can be typed; what was typed counts on Enter, or when the field is left. */
function Field({ setting, id, onSet, onSettle, onWrong }: ControlProps): ReactElement {
  const written = typeof setting.value === "string" ? setting.value : writtenJson(setting.value);
  const [draft, setDraft] = useState<string | null>(null);
  const [why, setWhy] = useState("");
  // biome-ignore lint/correctness/useExhaustiveDependencies: another value from elsewhere ends a draft
  useEffect(() => setDraft(null), [written]);

  const take = (text: string): void => {
    const typed = readTyped(setting, text);
    const wrong = "why" in typed ? typed.why : "";
    setWhy(wrong);
    if (wrong !== why) onWrong?.(wrong);
    if ("why" in typed) return;
    setDraft(null);
    if (!sameJson(typed.value, setting.value)) onSet?.(typed.value);
    onSettle?.();
  };
  const isNumber = setting.control === "number" || setting.control === "slider";
  return (
    <>
      <input
        id={id}
        type={isNumber ? "number" : setting.control === "date" ? "date" : "text"}
        value={draft ?? written}
        disabled={!onSet}
        spellCheck={false}
        title={why || undefined}
        data-fb-wrong={why ? "" : undefined}
        aria-invalid={why !== "" || undefined}
        {...(isNumber
          ? { min: setting.min ?? undefined, max: setting.max ?? undefined, step: setting.step ?? "any" }
          : {})}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          setWhy("");
          // Arrows of a number field and a chosen day are finished at once; only typing is not.
          if (!("inputType" in event.nativeEvent && event.nativeEvent.inputType)) take(event.currentTarget.value);
        }}
        onBlur={(event) => draft !== null && take(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") take(event.currentTarget.value);
          if (event.key !== "Escape" || draft === null) return;
          event.preventDefault(); // what was typed is given up, the field is not left
          setDraft(null);
          setWhy("");
        }}
      />
      {setting.unit && <span className="fb-setting-default">{oneLine(setting.unit)}</span>}
    </>
  );
}

const writtenJson = (value: Json): string => (value === null ? "" : JSON.stringify(value));
