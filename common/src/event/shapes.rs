//! Ready tables of field names for files and feeds that people have.

use serde::{Deserialize, Serialize};

use super::Field;

/// A ready table of field names. What it does not name keeps its default name; `[source.fields]` goes
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// TikTok's web API: `author.uniqueId`, `stats.diggCount`, …
    TiktokApi,
    /// A TikTok scraper of Apify: `authorMeta.name`, `diggCount`, …
    TiktokApify,
    /// An Instagram scraper of Apify: `ownerUsername`, `likesCount`, …
    InstagramApify,
    /// Items of the YouTube Data API: `snippet.channelTitle`, `statistics.likeCount`, …
    YoutubeApi,
    /// info.json of yt-dlp: `uploader_id`, `like_count`, …
    YtDlp,
    /// A crawl of YouTube's trending page: `channelName`, `likeCount`, …
    YoutubeTrending,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TiktokApi,
        Self::TiktokApify,
        Self::InstagramApify,
        Self::YoutubeApi,
        Self::YtDlp,
        Self::YoutubeTrending,
    ];

    /// Its name in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TiktokApi => "tiktok-api",
            Self::TiktokApify => "tiktok-apify",
            Self::InstagramApify => "instagram-apify",
            Self::YoutubeApi => "youtube-api",
            Self::YtDlp => "yt-dlp",
            Self::YoutubeTrending => "youtube-trending",
        }
    }

    /// The platform of events that name none.
    pub fn platform(self) -> &'static str {
        match self {
            Self::TiktokApi | Self::TiktokApify => "tiktok",
            Self::InstagramApify => "instagram",
            Self::YoutubeApi | Self::YtDlp | Self::YoutubeTrending => "youtube",
        }
    }

    /// Where a field stands; none where the default names hold.
    pub fn paths(self, field: Field) -> &'static [&'static str] {
        let of = match self {
            Self::TiktokApi => tiktok_api,
            Self::TiktokApify => tiktok_apify,
            Self::InstagramApify => instagram_apify,
            Self::YoutubeApi => youtube_api,
            Self::YtDlp => yt_dlp,
            Self::YoutubeTrending => youtube_trending,
        };
        of(field)
    }
}

fn tiktok_api(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &["author.uniqueId", "author"],
        Field::VideoId => &["id"],
        Field::PublishedAt => &["createTime"],
        Field::Likes => &["stats.diggCount", "statsV2.diggCount"],
        Field::Comments => &["stats.commentCount", "statsV2.commentCount"],
        Field::Shares => &["stats.shareCount", "statsV2.shareCount"],
        Field::Views => &["stats.playCount", "statsV2.playCount"],
        _ => &[],
    }
}

fn tiktok_apify(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &["authorMeta.name"],
        Field::VideoId => &["id"],
        Field::PublishedAt => &["createTimeISO", "createTime"],
        Field::Likes => &["diggCount"],
        Field::Comments => &["commentCount"],
        Field::Shares => &["shareCount"],
        Field::Views => &["playCount"],
        _ => &[],
    }
}

fn instagram_apify(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &["ownerUsername"],
        Field::VideoId => &["id", "shortCode"],
        Field::PublishedAt => &["timestamp"],
        Field::Likes => &["likesCount"],
        Field::Comments => &["commentsCount"],
        Field::Views => &["videoViewCount", "videoPlayCount"],
        _ => &[],
    }
}

fn youtube_api(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &["snippet.channelTitle", "snippet.channelId"],
        Field::VideoId => &["id", "id.videoId"],
        Field::PublishedAt => &["snippet.publishedAt"],
        Field::Likes => &["statistics.likeCount"],
        Field::Comments => &["statistics.commentCount"],
        Field::Views => &["statistics.viewCount"],
        _ => &[],
    }
}

fn yt_dlp(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &["channel_id", "uploader_id"],
        Field::VideoId => &["id"],
        Field::PublishedAt => &["timestamp"],
        Field::Likes => &["like_count"],
        Field::Comments => &["comment_count"],
        Field::Views => &["view_count"],
        _ => &[],
    }
}

fn youtube_trending(field: Field) -> &'static [&'static str] {
    match field {
        Field::Username => &["channelName"],
        Field::VideoId => &["videoId"],
        Field::PublishedAt => &["publishedAt"],
        Field::Likes => &["likeCount"],
        Field::Comments => &["commentCount"],
        Field::Views => &["viewCount"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldPath;

    #[test]
    fn every_path_of_every_shape_is_one() {
        for shape in Shape::ALL {
            for path in Field::ALL.into_iter().flat_map(|f| shape.paths(f)) {
                path.parse::<FieldPath>().unwrap();
            }
            let as_json = serde_json::to_string(&shape).unwrap();
            assert_eq!(as_json, format!("\"{}\"", shape.as_str()));
        }
    }
}
