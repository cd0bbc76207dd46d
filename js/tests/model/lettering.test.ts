import { describe, expect, it } from "vitest";
import { breakable, fittingPx } from "../../src/model/lettering";

const parts = (name: string): readonly string[] => breakable(name).split("\u200b");

describe("a name seen from afar", () => {
  it("is broken between its words", () => {
    expect(parts("by_weather_chart")).toEqual(["by_", "weather_", "chart"]);
    expect(parts("trainTest")).toEqual(["train", "Test"]);
    expect(parts("__x")).toEqual(["__", "x"]);
    expect(parts("FACTORS")).toEqual(["FACTORS"]);
  });

  it("is as large as its card lets it be", () => {
    const card = { width: 188, height: 90 };
    expect(fittingPx("x", card)).toBeGreaterThan(fittingPx("by_weather_chart", card));
    expect(fittingPx("by_weather_chart", card)).toBeGreaterThan(fittingPx("byweatherchart", card));
    expect(fittingPx("by_weather_chart", { ...card, height: 36 })).toBeLessThan(24);
    expect(fittingPx("", card)).toBeGreaterThan(0);
  });
});
