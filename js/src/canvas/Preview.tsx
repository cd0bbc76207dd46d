import type { ReactElement } from "react";
import type { ArrayPreview, PicturePreview, Preview as PreviewData, TablePreview } from "../model/flow";
import { barsBeside, barsPath, isNumeric, pictureSize, pictureUri, shownColumns } from "../model/previews";
import { oneLine, plain, shownValue } from "../model/wording";

/** The head of a table, an array as a line, a picture, or the beginning of a text. */
export function Preview(props: {
  readonly preview: PreviewData;
  /** Pixels there are; a table shows the columns that fit. */
  readonly width: number;
  /** Whether the columns of a table say their types. */
  readonly hasTypes?: boolean;
}): ReactElement {
  const { preview, width } = props;
  switch (preview.kind) {
    case "table":
      return <Grid preview={preview} width={width} hasTypes={props.hasTypes ?? false} />;
    case "array":
      return <Spark preview={preview} width={width} />;
    case "picture":
      return <Picture preview={preview} width={width} />;
    case "text":
      return <pre className="fb-preview fb-text-preview">{plain(preview.text)}</pre>;
  }
}

function Grid(props: {
  readonly preview: TablePreview;
  readonly width: number;
  readonly hasTypes: boolean;
}): ReactElement {
  const { preview, width, hasTypes } = props;
  const columns = shownColumns(preview, width);
  const rows = preview.rows.slice(0, 4).map((cells, index) => ({ cells, key: `row ${index}` }));
  return (
    <div className="fb-preview">
      <table className="fb-grid">
        <thead>
          <tr>
            {columns.map(({ index, column }) => (
              <th key={index} data-fb-numeric={isNumeric(column.type) ? "" : undefined} title={oneLine(column.type)}>
                {oneLine(column.name)}
                {hasTypes && <small>{oneLine(column.type)}</small>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ cells, key }) => (
            <tr key={key}>
              {columns.map(({ index, column }) => (
                <td key={index} data-fb-numeric={isNumeric(column.type) ? "" : undefined}>
                  {oneLine(cells[index] ?? "")}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** An array as a line, or as a picture where it has two dimensions, and a histogram; below it what they are. */
function Spark({ preview, width }: { readonly preview: ArrayPreview; readonly width: number }): ReactElement {
  const heights = preview.spark.slice(0, 60).map((height) => Math.min(Math.max(height, 0), 1));
  const step = 96 / Math.max(heights.length - 1, 1);
  const points = heights.map((height, index) => `${(2 + index * step).toFixed(1)},${(35 - height * 30).toFixed(1)}`);
  const shape = preview.shape.map((size) => size.toLocaleString("en-US")).join(" × ");
  const beside = barsBeside(preview, width);
  const isBounded = preview.min !== null && preview.max !== null;
  return (
    <div className="fb-preview">
      {preview.image ? (
        <div className="fb-array-image">
          <Image picture={preview.image} width={width} />
          {beside && <Bars counts={preview.histogram} {...beside} />}
        </div>
      ) : (
        <div className="fb-spark">
          <svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
            <polyline points={points.join(" ")} />
          </svg>
          {preview.histogram.length > 0 && <Bars counts={preview.histogram} />}
        </div>
      )}
      <div className="fb-spark-words">
        <span>{oneLine(`${preview.dtype} ${shape}`)}</span>
        <span>{isBounded && `${shownValue(preview.min)} … ${shownValue(preview.max)}`}</span>
      </div>
    </div>
  );
}

function Bars(props: {
  readonly counts: readonly number[];
  readonly width?: number;
  readonly height?: number;
}): ReactElement {
  const { counts, ...size } = props;
  return (
    <svg className="fb-bars" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true" {...size}>
      <path d={barsPath(counts)} />
    </svg>
  );
}

function Picture({ preview, width }: { readonly preview: PicturePreview; readonly width: number }): ReactElement {
  return (
    <div className={pictureUri(preview) ? "fb-preview" : "fb-preview fb-why"}>
      <Image picture={preview} width={width} />
    </div>
  );
}

function Image({ picture, width }: { readonly picture: PicturePreview; readonly width: number }): ReactElement {
  const uri = pictureUri(picture);
  const words = `picture ${picture.width} × ${picture.height}`;
  if (!uri) return <>{words}</>;
  const size = pictureSize(picture, width);
  return <img className="fb-picture" src={uri} alt={words} width={size.width} height={size.height} draggable={false} />;
}
