import { type ReactElement, useEffect, useId, useState } from "react";
import type { Json, Setting } from "../model/flow";
import { oneLine, sameJson, settingDefault, settingValue, shownValue } from "../model/wording";

interface ControlProps {
  readonly setting: Setting;
  readonly id: string;
  /** Absent where nobody would answer: the control then only shows. */
  readonly onSet: ((value: Json) => void) | undefined;
}

/** One setting as a compact row: label, control, value. */
export function SettingRow({ setting, onSet }: Omit<ControlProps, "id">): ReactElement {
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
          <Control setting={setting} id={id} onSet={onSet} />
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

function Slider({ setting, id, onSet }: ControlProps): ReactElement {
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
      />
      <span className="fb-setting-value">{settingValue(setting)}</span>
    </>
  );
}

function Switch({ setting, id, onSet }: ControlProps): ReactElement {
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
          onChange={(event) => onSet?.(event.currentTarget.checked)}
        />
      </span>
    </>
  );
}

function Select({ setting, id, onSet }: ControlProps): ReactElement {
  const known = setting.options.findIndex((option) => sameJson(option, setting.value));
  const options = known < 0 ? [setting.value, ...setting.options] : setting.options;
  return (
    <select
      id={id}
      value={Math.max(known, 0)}
      disabled={!onSet}
      onChange={(event) => onSet?.(options[Number(event.currentTarget.value)] ?? null)}
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
function Field({ setting, id, onSet }: ControlProps): ReactElement {
  const written = typeof setting.value === "string" ? setting.value : writtenJson(setting.value);
  const [draft, setDraft] = useState<string | null>(null);
  const [isWrong, setWrong] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another value from elsewhere ends a draft
  useEffect(() => setDraft(null), [written]);

  const take = (text: string): void => {
    const value = readField(setting, text);
    setWrong(value === undefined);
    if (value === undefined) return;
    setDraft(null);
    if (!sameJson(value, setting.value)) onSet?.(value);
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
        data-fb-wrong={isWrong ? "" : undefined}
        aria-invalid={isWrong || undefined}
        {...(isNumber
          ? { min: setting.min ?? undefined, max: setting.max ?? undefined, step: setting.step ?? "any" }
          : {})}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          setWrong(false);
          // Arrows of a number field and a chosen day are finished at once; only typing is not.
          if (!("inputType" in event.nativeEvent && event.nativeEvent.inputType)) take(event.currentTarget.value);
        }}
        onBlur={(event) => draft !== null && take(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") take(event.currentTarget.value);
          if (event.key === "Escape") {
            setDraft(null);
            setWrong(false);
          }
        }}
      />
      {setting.unit && <span className="fb-setting-default">{oneLine(setting.unit)}</span>}
    </>
  );
}

const writtenJson = (value: Json): string => (value === null ? "" : JSON.stringify(value));

/** What was typed as a value; undefined when it is none. */
export function readField(setting: Setting, text: string): Json | undefined {
  switch (setting.control) {
    case "number":
    case "slider": {
      const number = Number(text);
      if (!text.trim() || !Number.isFinite(number)) return undefined;
      const isOutside =
        (setting.min !== null && number < setting.min) || (setting.max !== null && number > setting.max);
      return isOutside ? undefined : number;
    }
    case "json":
      try {
        return JSON.parse(text) as Json;
      } catch {
        return undefined;
      }
    case "date":
      return text || undefined;
    default:
      return text;
  }
}
